//! What Envoy has been told, as its admin interface shows it.

use serde_json::Value;

/// Envoy's configuration dump.
pub struct Dump(Value);

impl Dump {
    /// That of the Envoy with this admin interface, as it is now.
    pub fn of(admin_url: &str) -> Self {
        let text = ureq::get(format!("{admin_url}/config_dump")).call().unwrap().body_mut().read_to_string().unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    /// A listener that is in service.
    pub fn listener(&self, name: &str) -> &Value {
        self.named("Listeners", "/dynamic_listeners", "/active_state/listener", name)
    }

    /// A table of routes.
    pub fn route(&self, name: &str) -> &Value {
        self.named("Routes", "/dynamic_route_configs", "/route_config", name)
    }

    /// A cluster.
    pub fn cluster(&self, name: &str) -> &Value {
        self.named("Clusters", "/dynamic_active_clusters", "/cluster", name)
    }

    /// The filters that come by themselves.
    pub fn discovered_filters(&self) -> &[Value] {
        self.section("Ecds")["ecds_filters"].as_array().unwrap()
    }

    fn named(&self, kind: &str, list: &str, pointer: &str, name: &str) -> &Value {
        let section = self.section(kind);
        let mut resources = section.pointer(list).and_then(Value::as_array).into_iter().flatten();
        let found = resources.find_map(|it| it.pointer(pointer).filter(|resource| resource["name"] == name));
        found.unwrap_or_else(|| panic!("{kind} without {name}: {section}"))
    }

    fn section(&self, kind: &str) -> &Value {
        let message = format!("type.googleapis.com/envoy.admin.v3.{kind}ConfigDump");
        let mut sections = self.0["configs"].as_array().unwrap().iter();
        sections.find(|section| section["@type"] == message).unwrap_or_else(|| panic!("no {message}"))
    }
}

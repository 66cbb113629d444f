#!/usr/bin/env bash
# Tries docker-compose.yml and the images for real, in a project and on a port of its own, and leaves nothing behind but
# BuildKit's caches.
#
#     tests/compose.sh
#
# Needs bash, curl, Python 3, and Docker with Compose v2 and the base images, or a registry to pull them from. Where these
# are missing it says so and succeeds, or fails with S3EP_REQUIRE_DOCKER=1, which is for CI. Where only Prometheus's or
# Grafana's image is missing, it goes on without.

set -euo pipefail
cd "$(dirname "$0")/.."

export COMPOSE_PROJECT_NAME="s3ep-test-$$"
export S3EP_PORT=0 S3EP_GRAFANA_PORT=0   # free ones
export DOCKER_BUILDKIT=1                 # the default since Docker 23
filter_image="$COMPOSE_PROJECT_NAME-filter"

say() { printf '\n==> %s\n' "$*"; }
fail() {
  printf '\nFAILED: %s\n' "$*" >&2
  exit 1
}

# Says what is missing, and ends.
skip() {
  printf '\n!!! tests/compose.sh DID NOT RUN: %s\n!!! The Compose stack and the images are UNTESTED.\n\n' "$*" >&2
  exit "${S3EP_REQUIRE_DOCKER:-0}"
}

require_docker() {
  command -v curl > /dev/null || skip "there is no curl"
  command -v python3 > /dev/null || skip "there is no python3"
  command -v docker > /dev/null || skip "there is no docker"
  docker info > /dev/null 2>&1 || skip "no Docker engine answers"
  docker compose version > /dev/null 2>&1 || skip "there is no Docker Compose v2"
  local images image
  mapfile -t images < <(sed -nE 's/^FROM ([^ ]+:[^ ]+).*/\1/p' ./*/Dockerfile; docker compose config --images | grep :)
  for image in "${images[@]}"; do
    has_image "$image" || skip "there is no image $image"
  done
}

has_image() {
  docker image inspect "$1" > /dev/null 2>&1 || docker pull --quiet "$1" 2> /dev/null
}

# The image of a service of the profile `monitoring`.
image_of() {
  docker compose --profile monitoring config --format json | python3 -c "import json, sys; print(json.load(sys.stdin)['services']['$1']['image'])"
}

# Whether this service's image is there. Where Docker is required, so is all of it.
can_run() {
  local image
  image="$(image_of "$1")"
  has_image "$image" && return
  [ "${S3EP_REQUIRE_DOCKER:-0}" = 0 ] || fail "there is no image $image"
  printf '\n!!! There is no image %s: %s is UNTESTED.\n' "$image" "$1" >&2
  return 1
}

clean_up() {
  local status=$?
  trap - EXIT
  if [ "$status" != 0 ]; then
    docker compose logs --no-color --tail 50 >&2 || true
  fi
  docker compose --profile monitoring down --volumes --remove-orphans --rmi local > /dev/null 2>&1 || true
  docker image rm --force "$filter_image" > /dev/null 2>&1 || true
  rm -rf "$scratch"
  exit "$status"
}

# curl to Envoy: $1 is the path, the rest is curl's.
request() {
  local path="$1"
  shift
  curl --silent --show-error --max-time 60 "$@" "http://$(docker compose port envoy 10000)$path"
}

# The same as the client that Envoy knows. Fails on an HTTP error.
s3() {
  local secret
  secret="$(docker compose exec -T envoy sed -n 's/^aws_secret_access_key = //p' /secrets/client/credentials)"
  signed_with "$secret" "$@" --fail
}

# The same with another secret, $1.
signed_with() {
  local secret="$1"
  shift
  request "$@" --aws-sigv4 aws:amz:us-east-1:s3 --user "S3EP:$secret" --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD'
}

reads_back() {
  s3 /demo/object --output "$scratch/read"
  cmp "$scratch/plaintext" "$scratch/read" || fail "the object does not read back as it was written"
}

object_is_sealed() {
  say "what a client writes reads back, and is sealed in the store"
  # 200,000 bytes, easily recognised: three full segments and a short one.
  printf 'this is plaintext..\n%.0s' {1..10000} > "$scratch/plaintext"
  s3 /demo/object --upload-file "$scratch/plaintext"
  reads_back
  local length
  length="$(s3 /demo/object --head | tr -d '\r' | sed -nE 's/^content-length: //Ip')"
  [ "$length" = 200000 ] || fail "HEAD gives $length bytes instead of the plaintext's 200000"

  docker compose exec -T s3 cat /store/objects/demo/object > "$scratch/stored"
  # FORMAT.md: each segment of 65,536 bytes has a header and a tag of together 48 bytes.
  [ "$(stat -c %s "$scratch/stored")" = $((200000 + 4 * 48)) ] || fail "the stored object has the wrong length"
  [ "$(head -c 4 "$scratch/stored")" = S3EP ] || fail "the stored object does not begin with a segment header"
  ! grep -qa plaintext "$scratch/stored" || fail "there is plaintext in the store"
}

strangers_stay_out() {
  say "nobody reads without the client's secret"
  local status
  status="$(request /demo/object --output /dev/null --write-out '%{http_code}')"
  [ "$status" = 403 ] || fail "an unsigned request is answered with $status"
  status="$(signed_with wrong /demo/object --output /dev/null --write-out '%{http_code}')"
  [ "$status" = 403 ] || fail "a request signed with another secret is answered with $status"
}

tampering_is_seen() {
  say "an object that was changed in the store is not read"
  s3 /demo/tampered --upload-file "$scratch/plaintext"
  docker compose exec -T s3 sh -c \
    'printf tampered | dd of=/store/objects/demo/tampered bs=1 seek=1000 conv=notrunc 2> /dev/null'
  ! s3 /demo/tampered --output "$scratch/tampered" 2> /dev/null || fail "a changed object was read without an error"
}

survives_restarts() {
  say "keys outlive the containers, and kms-shim may be killed"
  docker compose down > /dev/null 2>&1
  docker compose up --detach --wait
  reads_back
  docker compose kill kms-shim
  docker compose up --detach --wait
  # A new object needs a new DEK, which is in no cache.
  s3 /demo/another --upload-file "$scratch/plaintext"
}

containers_are_confined() {
  say "containers are confined, and only Envoy's and Grafana's ports are published, on loopback"
  local container name confinement ports
  for container in $(docker compose ps --all --quiet); do
    name="$(docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}}' "$container")"
    confinement="$(docker inspect --format \
      '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}' "$container")"
    [ "$confinement" = "65532:65532 true [ALL] [no-new-privileges:true]" ] || fail "$name is not confined: $confinement"
    ports="$(docker inspect --format '{{range .HostConfig.PortBindings}}{{range .}}{{.HostIp}} {{end}}{{end}}' "$container")"
    case "$name:$ports" in
      envoy:"127.0.0.1 " | grafana:"127.0.0.1 " | init: | kms-shim: | prometheus: | s3:) ;;
      *) fail "$name publishes a port on '$ports'" ;;
    esac
  done
}

# What Prometheus answers, as JSON.
prometheus() {
  docker compose exec -T prometheus wget -q -O - "http://127.0.0.1:9090/api/v1/$1"
}

# Waits until Prometheus finds just the values $2 for the query $1.
prometheus_finds() {
  local query found
  query="$(python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1")"
  for _ in {1..60}; do
    found="$(prometheus "query?query=$query" \
      | python3 -c 'import json, sys; print(*(found["value"][1] for found in json.load(sys.stdin)["data"]["result"]))')"
    [ "$found" != "$2" ] || return 0
    sleep 1
  done
  fail "Prometheus finds '$found' instead of '$2' for $1"
}

prometheus_sees_metrics_alone() {
  can_run prometheus || return 0
  say "Prometheus sees the metrics of Envoy, filter and kms-shim, takes the rules, and sees nothing else"
  docker compose up --detach --wait prometheus
  prometheus_finds up "1 1"
  s3 /demo/object --output /dev/null
  prometheus_finds 'sum(s3ep_requests{s3ep_operation="GetObject"}) > bool 0' 1
  prometheus_finds 'sum(s3ep_opened_bytes) > bool 0' 1
  prometheus_finds 'count(kms_shim_build_info)' 1
  prometheus rules | python3 -c 'import json, sys
rules = [rule for group in json.load(sys.stdin)["data"]["groups"] for rule in group["rules"]]
sys.exit(not rules or any(rule["lastError"] for rule in rules if "lastError" in rule))' || fail "Prometheus refuses the rules"
  dashboard_queries_hold
  local url
  for url in http://envoy:9901/stats http://envoy:9902/{stats,config_dump,kms-shim/readyz,stats/prometheus/} http://s3:9000/; do
    ! docker compose exec -T prometheus wget -q -T 5 -O /dev/null "$url" 2> /dev/null || fail "Prometheus reaches $url"
  done
  # The paths that are open are open for reading alone.
  for url in http://envoy:9902/{quitquitquit,stats/prometheus,kms-shim/metrics,kms-shim/v1/wrap}; do
    ! docker compose exec -T prometheus wget -q -T 5 --post-data '' -O /dev/null "$url" 2> /dev/null \
      || fail "Prometheus posts to $url"
  done
}

# Asks every query of Grafana's dashboard of Prometheus itself, so that they are tried without Grafana, too.
dashboard_queries_hold() {
  local queries query
  mapfile -t queries < <(python3 -c 'import json, urllib.parse
for panel in json.load(open("envoy/monitoring/grafana/dashboards/s3ep.json"))["panels"]:
    for target in panel.get("targets", []):
        print(urllib.parse.quote(target["expr"].replace("$__rate_interval", "1m"), safe=""))')
  [ "${#queries[@]}" -gt 10 ] || fail "the dashboard has ${#queries[@]} queries"
  for query in "${queries[@]}"; do
    prometheus "query?query=$query" | grep -q '"status":"success"' || fail "Prometheus refuses the dashboard's query $query"
  done
  # A rate takes two scrapes.
  prometheus_finds 'count(sum(rate(s3ep_requests[1m])))' 1
  prometheus_finds 'count(sum(rate(envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="s3"}[1m])))' 1
  prometheus_finds 'count(sum(rate(kms_shim_requests_total[1m])))' 1
}

grafana_has_the_dashboard() {
  can_run grafana || return 0
  say "Grafana shows the dashboard to whoever asks on loopback"
  docker compose up --detach --wait grafana
  local url
  url="http://$(docker compose port grafana 3000)"
  curl --silent --show-error --fail "$url/api/dashboards/uid/s3ep" | grep -q '"title":"S3EP"' || fail "Grafana has no dashboard"
  curl --silent --show-error --fail "$url/api/datasources/proxy/uid/prometheus/api/v1/query?query=up" | grep -q '"success"' \
    || fail "Grafana does not reach Prometheus"
}

# $1 is the service, $2 the folders of secrets that it must have.
has_secrets() {
  local folders
  folders="$(docker compose exec -T "$1" ls /secrets | xargs)"
  [ "$folders" = "$2" ] || fail "$1 has these secrets: $folders"
}

secrets_stay_in_their_files() {
  say "no secret shows in a container's description or log, and each container has only its own"
  local keyset
  keyset="$(docker compose exec -T kms-shim cat /secrets/keyset/keyset.json)"
  {
    docker compose exec -T kms-shim cat /secrets/token/token
    docker compose exec -T envoy sed -n 's/^aws_secret_access_key = //p' /secrets/store/credentials /secrets/client/credentials
    sed -nE 's/.*"value": ?"([^"]+)".*/\1/p' <<< "$keyset"
  } > "$scratch/secrets"
  [ "$(grep -c '^.\{40,\}$' "$scratch/secrets")" = 4 ] || fail "four secrets were expected"
  # shellcheck disable=SC2046 # one word a container
  { docker inspect $(docker compose ps --all --quiet); docker compose logs; } > "$scratch/shown" 2>&1
  ! grep -qFf "$scratch/secrets" "$scratch/shown" || fail "a secret shows in docker inspect or the logs"
  has_secrets kms-shim "keyset token"
  has_secrets envoy "client store token"
  has_secrets s3 "store"
}

filter_image_has_the_wasm_alone() {
  say "the filter's image holds /plugin.wasm and nothing else"
  docker build --quiet --file filter/Dockerfile --tag "$filter_image" . > /dev/null
  local container files
  container="$(docker create "$filter_image" none)"
  docker export --output "$scratch/image.tar" "$container"
  docker rm "$container" > /dev/null
  # Docker puts empty files there to mount things over, like /etc/hosts.
  files="$(tar -tvf "$scratch/image.tar" | awk '/^-/ && $3 > 0 { print $NF }')"
  [ "$files" = plugin.wasm ] || fail "the filter's image holds: $files"
  tar -xf "$scratch/image.tar" -C "$scratch" plugin.wasm
  [ "$(head -c 4 "$scratch/plugin.wasm" | od -An -tx1)" = " 00 61 73 6d" ] || fail "/plugin.wasm is not WebAssembly"
}

require_docker
scratch="$(mktemp -d)"
trap clean_up EXIT
say "building"
docker compose build
say "starting"
docker compose up --detach --wait
object_is_sealed
strangers_stay_out
tampering_is_seen
survives_restarts
prometheus_sees_metrics_alone
grafana_has_the_dashboard
containers_are_confined
secrets_stay_in_their_files
filter_image_has_the_wasm_alone
say "the Compose stack works"

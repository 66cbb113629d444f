//! The command line of kms-shim.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use kms_shim::config::{Config, Effective, LogFormat, LogLevel, Settings, TOKEN_ENV};
use kms_shim::keygen::Change;
use kms_shim::kms::{KmsSettings, KmsUri};
use kms_shim::{keygen, serve};
use tokio::runtime::Runtime;
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

/// Wraps and unwraps S3EP's data keys.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Serve wrap and unwrap calls over HTTP (the default)
    Serve(Box<ServeArgs>),
    /// Make a new key
    Keygen {
        #[command(subcommand)]
        what: Keygen,
    },
}

/// What comes from flags comes before what comes from the environment, then the file, then the defaults.
#[derive(Args)]
struct ServeArgs {
    /// Configuration file, YAML or JSON; its members are named as the flags, with underscores
    #[arg(long, env = "S3EP_KMS_SHIM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print, as a configuration file, what all of this comes to, without secrets, instead of serving
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Keygen {
    /// A Tink keyset with one AES-256-GCM key, as JSON
    Keyset(Box<NewKeyset>),
    /// Add a key to a keyset: it unwraps, but does not wrap yet. Prints its id
    AddKey(Box<OldKeyset>),
    /// Let a key of a keyset wrap, once every kms-shim has it
    Promote {
        /// The key's id
        key_id: u32,
        #[command(flatten)]
        keyset: Box<OldKeyset>,
    },
    /// A master key for the filter's direct mode: 32 random bytes in base64
    MasterKey(Out),
}

#[derive(Args)]
struct NewKeyset {
    #[command(flatten)]
    out: Out,
    /// Key of a KMS to encrypt it with [default: it lies in clear]
    #[arg(long, value_name = "URI")]
    encrypt_with: Option<KmsUri>,
    /// Keyset in clear to be encrypted, instead of a new one
    #[arg(long, value_name = "FILE", requires = "encrypt_with")]
    from: Option<PathBuf>,
    #[command(flatten)]
    kms: KmsSettings,
}

#[derive(Args)]
struct OldKeyset {
    /// File of the keyset, which is replaced in one step
    #[arg(long, env = "S3EP_KMS_SHIM_KEYSET", value_name = "FILE")]
    keyset: PathBuf,
    /// Key of a KMS that encrypts it
    #[arg(long, env = "S3EP_KMS_SHIM_KEYSET_KEK_URI", value_name = "URI")]
    keyset_kek_uri: Option<KmsUri>,
    #[command(flatten)]
    kms: KmsSettings,
}

#[derive(Args)]
struct Out {
    /// File to write with mode 0600; one that is there is not overwritten [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Keygen { what }) => make_key(what),
        Some(Command::Serve(args)) => start(*args),
        None => start(cli.serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kms-shim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make_key(what: Keygen) -> Result<(), Failure> {
    match what {
        Keygen::Keyset(new) => make_keyset(*new),
        Keygen::AddKey(keyset) => change_keyset(*keyset, Change::AddKey),
        Keygen::Promote { key_id, keyset } => change_keyset(*keyset, Change::Promote(key_id)),
        Keygen::MasterKey(Out { out }) => Ok(keygen::write(&keygen::master_key()?, out.as_deref())?),
    }
}

fn make_keyset(NewKeyset { out: Out { out }, encrypt_with, from, kms }: NewKeyset) -> Result<(), Failure> {
    let keyset = match encrypt_with {
        None => keygen::keyset()?,
        Some(kek) => runtime()?.block_on(keygen::encrypted_keyset(from, kek, &kms))?,
    };
    Ok(keygen::write(&keyset, out.as_deref())?)
}

fn change_keyset(OldKeyset { keyset, keyset_kek_uri, kms }: OldKeyset, change: Change) -> Result<(), Failure> {
    let changed = keygen::change(keyset, keyset_kek_uri.as_ref(), &kms, change);
    let key_id = runtime()?.block_on(changed)?;
    Ok(writeln!(io::stdout(), "{key_id}")?)
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn start(args: ServeArgs) -> Result<(), Failure> {
    let file = args.config.as_deref().map(Settings::from_file).transpose()?.unwrap_or_default();
    let token = std::env::var(TOKEN_ENV).ok().map(Zeroizing::new);
    let effective = Effective::new(args.settings, token, file);
    let yaml = if args.print_config { Some(effective.to_yaml()?) } else { None };
    let config = effective.into_config()?;
    if let Some(yaml) = yaml {
        return Ok(io::stdout().write_all(yaml.as_bytes())?);
    }
    start_log(&config);
    Ok(runtime()?.block_on(serve::serve(config))?)
}

fn start_log(config: &Config) {
    let level = match config.log_level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_ansi(false);
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().with_span_list(false).init(),
    }
}

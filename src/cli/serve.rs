//! `roadstead serve --config FILE`.

use std::future::pending;
use std::path::Path;
use std::process::ExitCode;

use futures_util::FutureExt;

use super::{config_check::UNUSABLE, descriptors, logging, notify};
use crate::app::{App, AppError};
use crate::config::Config;
use crate::server::{Drained, termination};

/// Serves until asked to end. Ends with 2 when the config cannot be used, with 1 when it cannot start or fails.
pub(super) fn run(file: &Path) -> ExitCode {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(UNUSABLE);
        }
    };
    logging::begin(config.log());
    match serve(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roadstead: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: &Config) -> Result<(), AppError> {
    descriptors::raise_limit(config.server().max_connections);
    // First: a start that fails is one line, and that line is the reason.
    let app = App::build(config)?;
    let data = std::path::absolute(&config.store().path)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data = %data.display(),
        offline = config.offline(),
        "starting"
    );
    for upstream in config.upstreams() {
        tracing::info!(upstream = %upstream.name, url = %upstream.url, default = upstream.is_default, "pulling from");
        if upstream.tls.insecure {
            tracing::warn!(
                upstream = %upstream.name,
                "INSECURE: any certificate is believed, so anybody on the way can read the credentials and answer for tags"
            );
        }
    }
    for address in &app.addresses().registry {
        tracing::info!(%address, "serving clients");
    }
    for address in &app.addresses().encrypted {
        tracing::info!(%address, "serving clients over TLS");
    }
    for path in &config.server().sockets {
        tracing::info!(socket = %path.display(), "serving clients");
    }
    tracing::info!(address = %app.addresses().admin, "serving the operator");
    if let Some(path) = &config.admin().socket {
        tracing::info!(socket = %path.display(), "serving the operator");
    }
    // Everything is bound: whoever comes now is served.
    notify::tell("READY=1");
    // A second signal, heard from the first one on.
    let hurry = async {
        match termination() {
            Ok(again) => again.await,
            Err(_) => pending().await,
        }
    };
    let stop = || Ok(termination()?.map(|()| notify::tell("STOPPING=1")));
    match app.run(stop, hurry)? {
        Drained::Whole => tracing::info!("ended"),
        Drained::CutShort => tracing::warn!("ended; some requests were cut short"),
    }
    Ok(())
}

//! `roadstead serve --config FILE`.

use std::path::Path;
use std::process::ExitCode;

use super::{config_check::UNUSABLE, descriptors, logging};
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
    let app = App::build(config)?;
    for address in &app.addresses().registry {
        tracing::info!(%address, "serving clients");
    }
    tracing::info!(address = %app.addresses().admin, "serving the operator");
    match app.run(termination)? {
        Drained::Whole => tracing::info!("ended"),
        Drained::CutShort => tracing::warn!("ended; some requests were cut short"),
    }
    Ok(())
}

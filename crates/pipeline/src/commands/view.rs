//! `view`, which shows a profile from a file in a browser.

use std::io::Write;
use std::path::Path;

use confighttp::{Bounds, Endpoint, Server};
use profile_page::{Page, router, store};
use tokio::signal::unix::{SignalKind, signal};

use super::error::CommandError;
use super::profiles::{load, quantity};
use crate::runtime;

/// The loopback device's address, which only this machine reaches.
const LOOPBACK: &str = "127.0.0.1";
/// Most connections: a page sends several requests at once, and several pages may be open.
const CONNECTIONS: usize = 64;

/// Reads a profile and serves the page that shows it, until a signal ends it.
pub(super) fn view(
    input: &Path,
    port: u16,
    value: Option<&str>,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let profile = load(input)?;
    let quantity = quantity(&profile, value, input)?;
    let page = Page::of(store(&profile, quantity));
    drop(profile);
    runtime::run(serve(page, port, out))?
}

async fn serve(page: Page, port: u16, out: &mut dyn Write) -> Result<(), CommandError> {
    // Handled before the address is printed, since a program that reads it may end this one at once.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let bounds = Bounds { connections: CONNECTIONS };
    let server = Server::start_within(&Endpoint::new(LOOPBACK, port), router(page), bounds)?;
    writeln!(out, "http://{}/", server.address())?;
    out.flush()?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    server.stop().await;
    Ok(())
}

//! Files and endpoints for browsers: the capture page, the playground and the web SDK (`file` serves the table of
//! `assets`), the scripts for pages of the original service and the endpoints of their network measurement (`network`),
//! and the sessions of the demonstration (`demo`).
//!
//! All files are in the program; none is loaded from another server.

mod assets;
mod demo;
mod embedding;
mod file;
mod network;

use axum::extract::RawQuery;
use axum::response::{IntoResponse as _, Redirect, Response};
use faceline_shared::settings::{CaptureRules, CaptureSettings};

use self::assets::{CAPTURE, PLAYGROUND, SDK, VIDEO_SERVER};
pub(super) use self::embedding::for_pages;
use self::file::{page, script};
use super::route::Route;
use crate::http::operations;

/// The routes that the settings enable.
pub(super) fn routes(settings: &CaptureSettings, rules: &CaptureRules) -> Vec<Route> {
    let mut routes = Vec::new();
    if rules.pages {
        let policy = file::content_policy(&settings.frame_ancestors);
        routes.extend([
            Route::new(&operations::CAPTURE_WITHOUT_SLASH, async |query: RawQuery| {
                folder_of("capture/", query)
            }),
            Route::new(&operations::CAPTURE, page(&CAPTURE, policy.clone())),
            Route::new(&operations::CAPTURE_FILE, page(&CAPTURE, policy.clone())),
            Route::new(&operations::PLAYGROUND_WITHOUT_SLASH, async |query: RawQuery| {
                folder_of("playground/", query)
            }),
            Route::new(&operations::PLAYGROUND, page(&PLAYGROUND, policy.clone())),
            Route::new(&operations::PLAYGROUND_FILE, page(&PLAYGROUND, policy)),
        ]);
    }
    if rules.pages || rules.scripts {
        routes.push(Route::new(&operations::WEB_SDK, script(&SDK)));
    }
    if rules.scripts {
        routes.push(Route::new(&operations::VIDEO_SCRIPT, script(&VIDEO_SERVER)));
        routes.extend(network::routes());
    }
    if rules.demo {
        routes.extend(demo::routes());
    }
    routes
}

/// Redirects to a folder beside the path by a relative URL, so a proxy may serve both under any prefix. The query is
/// kept: it names the session.
fn folder_of(name: &str, RawQuery(query): RawQuery) -> Response {
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    Redirect::permanent(&format!("{name}{query}")).into_response()
}

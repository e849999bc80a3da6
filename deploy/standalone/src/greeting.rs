//! Prints the address of the capture page and three example calls, ready to paste, for a user who starts the program
//! for the first time.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use faceline_models::Repository;
use faceline_shared::services::SharedServices;

/// Waits until the service is ready and prints the address of the page and the calls. Prints nothing if the demo
/// account is not in use, and no calls if no example pictures are installed.
pub(crate) async fn when_ready(services: SharedServices, listener: SocketAddr) {
    if services.settings.accounts.file.is_some() {
        return;
    }
    services.readiness.ready().await;
    let scheme = if services.settings.http.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{listener}");
    let has_pages = services.settings.capture_rules().pages;
    let page = if has_pages { page(&url) } else { String::new() };
    let text = page + &example_calls(&services, &url).unwrap_or_default();
    // The service continues even if standard output is closed.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if !std::io::stdout().is_terminal() {
        let _ = std::io::stdout().flush();
    }
}

fn page(url: &str) -> String {
    format!(
        "\nA page to try it with a camera: {url}/web/capture/\nA page for the other calls:      {url}/web/playground/\n"
    )
}

/// The calls with the example pictures. `None` if these are not installed.
fn example_calls(services: &SharedServices, url: &str) -> Option<String> {
    let repository = Repository::open(&services.settings.models.dir).ok()?;
    let [reference, same, other] =
        ["obama.jpg", "obama2.jpg", "biden.jpg"].map(|name| repository.picture(name));
    Some(calls(url, &reference?, &same?, &other?))
}

fn calls(url: &str, reference: &Path, same: &Path, other: &Path) -> String {
    let [reference, same, other] = [reference, same, other].map(|path| path.display().to_string());
    let matches = |candidate: &str| {
        format!(
            "curl -s {url}/bioserver-app/v2/match/images -H 'apikey: demo' -F referenceImageType=SELFIE \
             -F candidateImageType=SELFIE -F 'referenceImage=@{reference}' -F 'candidateImage=@{candidate}'"
        )
    };
    format!(
        "\nFaceline serves {url}. Try these lines:\n\n\
         # describe a face\n\
         curl -s {url}/bioserver-app/v2/faces -H 'apikey: demo' -F imageType=SELFIE -F 'image=@{reference}'\n\n\
         # two pictures of one person: a score above 3500\n{}\n\n\
         # two people: a score below 2500\n{}\n\n",
        matches(&same),
        matches(&other)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_stands_on_a_line_of_its_own() {
        let text =
            calls("http://127.0.0.1:1", Path::new("/m/a.jpg"), Path::new("/m/b.jpg"), Path::new("/m/c.jpg"));
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("curl ")).collect();
        assert_eq!(lines.len(), 3);
        assert!(
            lines
                .iter()
                .all(|line| line.contains("127.0.0.1:1/bioserver-app/v2/") && line.contains("@/m/a.jpg"))
        );
        assert!(lines[1].contains("@/m/b.jpg") && lines[2].contains("@/m/c.jpg"));
    }
}

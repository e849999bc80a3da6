//! The section `capture`.

use serde::Deserialize;
use url::{Host, Url};

use super::error::{SettingsError, invalid};
use super::http::is_origin;

/// Capture pages that the gateway serves to browsers, and permissions of pages on other servers. The *demonstration*
/// is a gateway with the demo account that listens on a loopback address.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct CaptureSettings {
    /// Whether the gateway serves the capture page (`/web/capture/`), the playground (`/web/playground/`) and the web SDK
    /// (`/web/sdk/faceline.js`). If this is not set, only the demonstration serves them.
    pub pages: Option<bool>,
    /// Whether the gateway serves the web SDK, the scripts for pages of the original service (`/video-server/*.js`),
    /// and the endpoints by which these scripts measure the network. If this is not set, only the demonstration
    /// serves them.
    pub scripts: Option<bool>,
    /// Whether a page of `capture.origins` needs only the id of a web capture session to read the parameters of its
    /// replay, to upload its video once and to read its status. If this is not set, only the demonstration allows it.
    pub session_id_authorises: Option<bool>,
    /// Origins whose pages may capture for sessions, such as `["https://app.example"]`: with a capture token, or with
    /// the session's id if `capture.session_id_authorises` is set. If this is not set: all origins on this machine in
    /// the demonstration, and none elsewhere.
    pub origins: Option<Vec<String>>,
    /// Origins whose pages may embed the capture page in a frame.
    pub frame_ancestors: Vec<String>,
    /// Whether `/web/demo/` creates sessions for every visitor. If this is not set, only the demonstration does;
    /// elsewhere it cannot be enabled.
    pub demo: Option<bool>,
}

impl CaptureSettings {
    pub(super) fn validate(&self, is_demonstration: bool) -> Result<(), SettingsError> {
        let origins = self.origins.iter().flatten().map(|origin| ("capture.origins", origin));
        let ancestors = self.frame_ancestors.iter().map(|origin| ("capture.frame_ancestors", origin));
        if let Some((key, wrong)) = origins.chain(ancestors).find(|(_, origin)| !is_origin(origin)) {
            return invalid(format!(
                "{key}: `{wrong}` is no origin; expected scheme, host and maybe port, as in https://app.example"
            ));
        }
        if is_demonstration {
            return Ok(());
        }
        if self.demo == Some(true) {
            return invalid(
                "capture.demo creates sessions for everybody, and works with the demo account only: without accounts.file, on a \
                 loopback listener",
            );
        }
        if self.session_id_authorises == Some(true) && self.origins.as_ref().is_none_or(Vec::is_empty) {
            return invalid(
                "capture.session_id_authorises needs capture.origins: the origins of the capture pages",
            );
        }
        Ok(())
    }
}

/// Rules that the settings of capture pages give for one gateway.
#[derive(Clone, Debug)]
pub struct CaptureRules {
    /// Whether the capture page and the playground are served.
    pub pages: bool,
    /// Whether the scripts for pages of the original service are served.
    pub scripts: bool,
    /// Whether the id of a session of web capture authorises its device.
    pub session_id_authorises: bool,
    /// Whether everybody may create sessions of the demo account.
    pub demo: bool,
    /// `None` stands for all origins on this machine.
    origins: Option<Vec<String>>,
}

impl CaptureRules {
    /// The rules of a gateway, which is a demonstration or not.
    pub(super) fn new(settings: &CaptureSettings, is_demonstration: bool) -> Self {
        let on = |setting: Option<bool>| setting.unwrap_or(is_demonstration);
        Self {
            pages: on(settings.pages),
            scripts: on(settings.scripts),
            session_id_authorises: on(settings.session_id_authorises),
            demo: on(settings.demo) && is_demonstration,
            origins: settings.origins.clone().or_else(|| (!is_demonstration).then(Vec::new)),
        }
    }

    /// Whether pages of an origin may capture, as its browser writes the origin.
    #[must_use]
    pub fn allow_origin(&self, origin: &str) -> bool {
        match &self.origins {
            Some(origins) => origins.iter().any(|allowed| allowed == origin),
            None => is_loopback_origin(origin),
        }
    }

    /// Whether pages of any other origin may capture.
    #[must_use]
    pub fn allow_any_origin(&self) -> bool {
        self.origins.as_ref().is_none_or(|origins| !origins.is_empty())
    }
}

/// Whether an origin is one of this machine: any port of `localhost` or of a loopback address.
#[must_use]
pub fn is_loopback_origin(origin: &str) -> bool {
    is_origin(origin) && Url::parse(origin).is_ok_and(|url| url.host().is_some_and(|host| is_loopback(&host)))
}

/// Whether `host`, with or without a port, is a name of this machine itself. A page of another machine whose name leads here (DNS
/// rebinding) has that name in its requests.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    Url::parse(&format!("http://{host}/")).is_ok_and(|url| {
        url.path() == "/" && url.username().is_empty() && url.host().is_some_and(|host| is_loopback(&host))
    })
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "https://app.example";

    #[test]
    fn everything_is_on_in_the_demonstration_and_off_elsewhere() {
        let of = |settings: &CaptureSettings, demonstration| {
            let rules = CaptureRules::new(settings, demonstration);
            [rules.pages, rules.scripts, rules.session_id_authorises, rules.demo]
        };
        let all = |on| CaptureSettings {
            pages: Some(on),
            scripts: Some(on),
            session_id_authorises: Some(on),
            demo: Some(on),
            ..CaptureSettings::default()
        };
        assert_eq!(of(&CaptureSettings::default(), true), [true; 4]);
        assert_eq!(of(&CaptureSettings::default(), false), [false; 4]);
        assert_eq!(of(&all(false), true), [false; 4]);
        assert_eq!(of(&all(true), false), [true, true, true, false], "there is no demo account");
    }

    #[test]
    fn origins_are_those_of_this_machine_in_the_demonstration_and_named_elsewhere() {
        let with = |origins: Option<&[&str]>, demonstration| {
            let origins = origins.map(|all| all.iter().map(|origin| (*origin).to_owned()).collect());
            CaptureRules::new(&CaptureSettings { origins, ..CaptureSettings::default() }, demonstration)
        };
        let demonstration = with(None, true);
        for origin in
            ["http://localhost:3000", "https://localhost", "http://127.0.0.1:1", "http://[::1]:8080"]
        {
            assert!(demonstration.allow_origin(origin), "{origin}");
            assert!(!with(None, false).allow_origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            APP,
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://localhost:3000/x",
        ] {
            assert!(!demonstration.allow_origin(origin), "{origin}");
        }
        for demonstration in [true, false] {
            let named = with(Some(&[APP]), demonstration);
            assert!(named.allow_origin(APP) && named.allow_any_origin());
            for other in ["http://localhost:3000", "https://app.example:444", "http://app.example", "null"] {
                assert!(!named.allow_origin(other), "{other}");
            }
        }
        assert!(!with(None, false).allow_any_origin() && !with(Some(&[]), true).allow_any_origin());
    }

    #[test]
    fn a_host_of_this_machine_is_known_by_its_name() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in
            ["", "x", "attacker.example:8080", "localhost.example", "a@localhost", "localhost/x", "10.0.0.1"]
        {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn what_would_open_a_gateway_to_everybody_is_refused() {
        let said = |settings: CaptureSettings, demonstration| {
            settings.validate(demonstration).err().map_or_else(String::new, |error| error.to_string())
        };
        let demo = CaptureSettings { demo: Some(true), ..CaptureSettings::default() };
        assert!(said(demo.clone(), false).contains("capture.demo"));
        assert_eq!(said(demo, true), "");
        let by_id = CaptureSettings { session_id_authorises: Some(true), ..CaptureSettings::default() };
        assert!(said(by_id.clone(), false).contains("capture.origins"));
        assert_eq!(said(by_id.clone(), true), "");
        let named = CaptureSettings { origins: Some(vec![APP.into()]), ..by_id };
        assert_eq!(said(named, false), "");
        for wrong in ["*", "https://app.example/", "null"] {
            let origins = CaptureSettings { origins: Some(vec![wrong.into()]), ..CaptureSettings::default() };
            assert!(said(origins, true).contains("capture.origins: `"), "{wrong}");
            let frames =
                CaptureSettings { frame_ancestors: vec![wrong.into()], ..CaptureSettings::default() };
            assert!(said(frames, true).contains("capture.frame_ancestors: `"), "{wrong}");
        }
    }
}

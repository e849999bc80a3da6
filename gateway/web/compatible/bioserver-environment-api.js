// BioserverEnvironment for pages of the original service: whether a browser supports the capture. It tests for
// features, and names browsers only for the text that a page shows.

(() => {
  /**
   * The versions from which on browsers have all that these scripts and faceline.js use. Pages that share the gateway's
   * origin need Safari 16.4 (docs/web-capture.md).
   */
  const BROWSERS = [
    { name: 'Chrome', minimumVersion: '86' },
    { name: 'Edge', minimumVersion: '86' },
    { name: 'Firefox', minimumVersion: '90' },
    { name: 'Safari', minimumVersion: '15' },
    { name: 'Samsung Internet', minimumVersion: '14' },
    { name: 'Opera', minimumVersion: '72' },
  ];
  const SYSTEMS = ['Android', 'iOS', 'Windows', 'macOS', 'Linux'];

  function detection() {
    const { userAgent, userAgentData, maxTouchPoints } = navigator;
    // iPads call themselves Macs, which have no touch screens.
    const isTablet = /Macintosh/.test(userAgent) && maxTouchPoints > 1;
    const isMobile = userAgentData?.mobile ?? (/Android|iPhone|iPad|Mobile/.test(userAgent) || isTablet);
    if (!window.isSecureContext) return { message: 'The camera works only on pages with https. Open this page with https.' };
    const isSupported = Boolean(navigator.mediaDevices?.getUserMedia && window.MediaRecorder && window.crypto?.subtle);
    return {
      envDetected: {
        // No operating system is excluded if its browser has the features.
        os: { isSupported: true, isMobile, supportedList: SYSTEMS },
        browser: { isSupported, supportedList: BROWSERS },
      },
      message: isSupported ? '' : 'This browser cannot record videos.',
    };
  }

  window.BioserverEnvironment = { detection };
})();

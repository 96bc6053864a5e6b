// The search runs in a Worker, which browsers refuse to pages that are opened from the disk. There its script
// runs in a hidden frame instead, under the name by which the theme knows of such frames.
if (location.protocol === "file:") {
  const prelude = `<script>
    var postMessage = (data) => parent.dispatchEvent(new MessageEvent("message", { data, source: window }));
    var importScripts = async (...urls) => {
      for (const src of urls)
        await new Promise((loaded) => {
          const script = Object.assign(document.createElement("script"), { src, onload: loaded });
          document.head.append(script);
        });
    };
  </script>`;
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = `${prelude}<script src="${url}"></script>`;
      this.loaded = new Promise((loaded) => (this.frame.onload = loaded));
      addEventListener("message", ({ data, source }) => {
        if (source !== this.frame.contentWindow) return;
        const message = new MessageEvent("message", { data });
        this.dispatchEvent(message);
        this.onmessage?.(message);
      });
      document.body.append(this.frame);
    }
    async postMessage(data) {
      await this.loaded;
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }
    terminate() {
      this.frame.remove();
    }
  };
}

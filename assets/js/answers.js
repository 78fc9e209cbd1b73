// No answer of the server is lost. Gradio's page hears all answers over one stream, which the server ends with a
// `close_stream` after the last of them. What is sent at that very moment, while the page still takes the ended stream
// for open, would never be heard, for the page opens another only when it knows that there is none. So the stream goes
// on here, unseen by Gradio, for as long as something that was sent has no answer.
(() => {
  const send = window.fetch;
  const sending = new Set(); // what is on its way to the server, as promises
  const waiting = new Set(); // the ids of what has no answer yet
  const answered = new Set(); // the ids of what was answered before the page knew them
  let closed = Promise.resolve(); // until Gradio has read that its stream is closed
  const soon = () => new Promise((resolve) => { setTimeout(resolve, 2000); }); // it never takes that long

  const join = async (input, init) => {
    const response = await send(input, init);
    const { event_id: id } = await response.clone().json().catch(() => ({}));
    if (id && !answered.delete(id)) waiting.add(id);
    return response;
  };

  // Gradio sees an answer to what it sent only after the end of the stream that came before it.
  const joined = async (input, init) => {
    const sent = join(input, init);
    sending.add(sent);
    try {
      return await sent;
    } finally {
      sending.delete(sent);
      await Promise.race([closed, soon()]);
    }
  };

  // Takes note of a message; whether it is the end of the stream.
  const isClosing = (message) => {
    if (!message.startsWith("data:")) return false;
    const { msg, event_id: id } = JSON.parse(message.slice("data:".length));
    if (msg === "process_completed" && id && !waiting.delete(id)) answered.add(id);
    if (msg === "unexpected_error" && !id) waiting.clear();
    return msg === "close_stream";
  };

  async function* messages(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      yield* parts;
    }
  }

  const unanswered = async () => {
    await Promise.allSettled(sending);
    return waiting.size > 0;
  };

  // Hands one stream of the server after another on, until nothing waits.
  const pump = async (request, first, controller, heard) => {
    const encoder = new TextEncoder();
    for (let response = first; ; response = await send(request)) {
      if (!response.ok) throw new Error(`The stream of answers could not go on: ${response.status}`);
      let closing = "";
      for await (const message of messages(response)) {
        if (isClosing(message)) closing = message;
        else controller.enqueue(encoder.encode(`${message}\n\n`));
      }
      if (closing && (await unanswered())) continue;
      if (closing) {
        closed = heard;
        controller.enqueue(encoder.encode(`${closing}\n\n`));
      }
      controller.close();
      return;
    }
  };

  const stream = async (input, init) => {
    const request = new Request(input, init);
    const first = await send(request);
    if (!first.ok || !first.body) return first;
    let leave;
    const heard = new Promise((resolve) => { leave = resolve; });
    (init?.signal ?? request.signal).addEventListener("abort", leave);
    const body = new ReadableStream({
      start(controller) {
        pump(request, first, controller, heard).catch((error) => {
          waiting.clear();
          leave();
          try { controller.error(error); } catch { /* Gradio has left it */ }
        });
      },
      cancel: leave,
    });
    return new Response(body, { status: first.status, headers: first.headers });
  };

  window.fetch = (input, init) => {
    const { pathname } = new URL(input.url ?? input, document.baseURI);
    if (pathname.endsWith("/queue/join")) return joined(input, init);
    if (pathname.endsWith("/queue/data")) return stream(input, init);
    return send(input, init);
  };
})();

"""The dialogs of the page: keys and help, the walkthrough, and the question before loss."""

from studio.markup import one_line

KEYS = (
    ("Ctrl + Enter", "Generate with the caption on the page"),
    ("Esc", "Cancel the running job, or close a dialog"),
    ("?", "Show this list"),
    ("← and →", "Leaf through the gallery or the corpus while an image is open"),
    ("C, D and U", "Confirm, dismiss or undo while a group of duplicates has the focus"),
    ("↑ and ↓", "Go from group to group of duplicates"),
    ("? in Review", "Show the keys of the review screen, where one key gives a verdict"),
    ("Tab and arrow keys", "Move between controls, and inside a group of choices"),
)

WHAT_RUNS = """
<p>DermaFlux Studio makes <strong>synthetic</strong> images of skin lesions from a caption.
Everything happens on this computer (<strong data-fact-slot="device">this device</strong>): no
image and no text leaves it, unless you name a server that is to caption your corpus.</p>
<p>What it makes shows no patient, and each file says that it is synthetic. Real images are in
<strong>Corpus</strong> alone: those that you import. No image here is for diagnosis.</p>
"""

WHICH_MODEL = """
<p>Images are made by <strong data-fact-slot="model">the model</strong>. <strong>Models</strong>
lists others, adds a folder of yours, and downloads one after you have seen its size and licence and
said yes.</p>
<p>Asymmetry, border and colours are measured on every finished image, so that you see how well
it keeps to what you asked.</p>
"""

FIRST_IMAGE = """
<ol>
<li>In <strong>Compose</strong>, choose asymmetry, border and colours. The caption is written as
you choose.</li>
<li>Press <strong>Continue to Generate</strong>, then <strong>Generate</strong>.</li>
<li>Images appear in the gallery as they are finished. Open one to see its measurements or to use
its settings again.</li>
</ol>
"""

STEPS = (
    ("What runs here", WHAT_RUNS),
    ("Which model", WHICH_MODEL),
    ("Your first image", FIRST_IMAGE),
)


def dialogs_html() -> str:
    """All dialogs, closed."""
    return one_line(f"{_help()}{_walkthrough()}{_confirm()}")


def _help() -> str:
    rows = "".join(
        f'<tr><th scope="row"><kbd>{keys}</kbd></th><td>{what}</td></tr>' for keys, what in KEYS
    )
    return f"""
    <dialog id="help" class="df-dialog" aria-labelledby="help-title">
      <h2 id="help-title" class="df-section">Keys and help</h2>
      <table class="df-table"><thead class="df-sr"><tr><th scope="col">Key</th>
      <th scope="col">What it does</th></tr></thead><tbody>{rows}</tbody></table>
      <p>Progress, results and settings live in the workspace, not in this window: close it, reload
      it or open a second one at any time.</p>
      <div class="df-row df-foot">
        <button type="button" class="df-button" data-opens="walkthrough">
          Show the walkthrough</button>
        <button type="button" class="df-button df-primary" data-closes>Close</button>
      </div>
    </dialog>
    """


def _walkthrough() -> str:
    steps = "".join(
        f"<section data-step{'' if index == 0 else ' hidden'}>"
        f'<h2 class="df-section" tabindex="-1">{title}</h2>{text}</section>'
        for index, (title, text) in enumerate(STEPS)
    )
    return f"""
    <dialog id="walkthrough" class="df-dialog" aria-label="A short walkthrough">
      {steps}
      <div class="df-row df-foot">
        <span class="df-dim" data-place>1 of {len(STEPS)}</span>
        <button type="button" class="df-button" data-closes>Skip</button>
        <button type="button" class="df-button" data-back disabled>Back</button>
        <button type="button" class="df-button df-primary" data-next>Next</button>
        <button type="button" class="df-button df-primary" data-finish data-closes hidden>
          Start</button>
      </div>
    </dialog>
    """


def _confirm() -> str:
    return """
    <dialog id="confirm" class="df-dialog" aria-labelledby="confirm-question">
      <form method="dialog">
        <p id="confirm-question" data-question></p>
        <div class="df-row df-foot">
          <button class="df-button" value="no" autofocus>Keep</button>
          <button class="df-button df-danger" value="yes">Remove</button>
        </div>
      </form>
    </dialog>
    """

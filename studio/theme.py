"""One theme for the whole studio, light and dark, whose text passes WCAG AA on every surface.

Gradio's own defaults do not: its subdued, info and placeholder texts and its primary and stop
buttons are too pale, so each of them is set here for both modes.
"""

import gradio as gr
from gradio.themes.utils import colors, sizes

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "Liberation Mono", "monospace")

PETROL = colors.Color(
    name="petrol",
    c50="#eff7f8",
    c100="#d9edef",
    c200="#b3dade",
    c300="#80c0c8",
    c400="#4a9fab",
    c500="#2a7f8d",
    c600="#1f6a77",
    c700="#1a5662",
    c800="#174650",
    c900="#133940",
    c950="#0a252b",
)

MIST = colors.Color(
    name="mist",
    c50="#f6f8f9",
    c100="#ebeff1",
    c200="#d8dfe3",
    c300="#b9c4ca",
    c400="#8c9aa3",
    c500="#67757e",
    c600="#4e5b64",
    c700="#3a454d",
    c800="#252e35",
    c900="#182026",
    c950="#10161b",
)

SURFACES = {
    "body_background_fill": "*neutral_50",
    "body_background_fill_dark": "*neutral_950",
    "background_fill_primary": "white",
    "background_fill_primary_dark": "*neutral_900",
    "background_fill_secondary": "*neutral_50",
    "background_fill_secondary_dark": "*neutral_800",
    "block_background_fill": "white",
    "block_background_fill_dark": "*neutral_900",
    "block_border_width": "0px",
    "block_border_width_dark": "0px",
    "block_shadow": "none",
    "block_shadow_dark": "none",
    "block_label_background_fill": "*neutral_100",
    "block_label_background_fill_dark": "*neutral_800",
    "border_color_primary": "*neutral_200",
    "border_color_primary_dark": "*neutral_700",
    "panel_background_fill": "white",
    "panel_background_fill_dark": "*neutral_900",
    "panel_border_width": "1px",
    "panel_border_width_dark": "1px",
    "panel_border_color": "*neutral_200",
    "panel_border_color_dark": "*neutral_700",
}

TEXTS = {
    "body_text_color": "*neutral_900",
    "body_text_color_dark": "*neutral_100",
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_300",
    "block_title_text_color": "*neutral_800",
    "block_title_text_color_dark": "*neutral_100",
    "block_title_text_weight": "600",
    "block_label_text_color": "*neutral_700",
    "block_label_text_color_dark": "*neutral_200",
    "block_info_text_color": "*neutral_600",
    "block_info_text_color_dark": "*neutral_300",
    "accordion_text_color": "*neutral_800",
    "accordion_text_color_dark": "*neutral_100",
    "link_text_color": "*primary_700",
    "link_text_color_dark": "*primary_300",
    "link_text_color_hover": "*primary_800",
    "link_text_color_hover_dark": "*primary_200",
    "link_text_color_active": "*primary_800",
    "link_text_color_active_dark": "*primary_200",
    "link_text_color_visited": "*primary_700",
    "link_text_color_visited_dark": "*primary_300",
}

FIELDS = {
    "input_background_fill": "white",
    "input_background_fill_dark": "*neutral_950",
    "input_border_color": "*neutral_500",
    "input_border_color_dark": "*neutral_500",
    "input_border_width": "1px",
    "input_border_width_dark": "1px",
    "input_border_color_focus": "*primary_600",
    "input_border_color_focus_dark": "*primary_300",
    "input_placeholder_color": "*neutral_600",
    "input_placeholder_color_dark": "*neutral_300",
    "input_shadow": "none",
    "input_shadow_dark": "none",
    "checkbox_border_color": "*neutral_500",
    "checkbox_border_color_dark": "*neutral_400",
    "checkbox_background_color_selected": "*primary_700",
    "checkbox_background_color_selected_dark": "*primary_600",
    "checkbox_border_color_selected": "*primary_700",
    "checkbox_border_color_selected_dark": "*primary_300",
    "checkbox_label_background_fill": "white",
    "checkbox_label_background_fill_dark": "*neutral_900",
    "checkbox_label_background_fill_hover": "*primary_50",
    "checkbox_label_background_fill_hover_dark": "*neutral_800",
    "checkbox_label_background_fill_selected": "*primary_100",
    "checkbox_label_background_fill_selected_dark": "*primary_900",
    "checkbox_label_border_color": "*neutral_400",
    "checkbox_label_border_color_dark": "*neutral_600",
    "checkbox_label_border_color_selected": "*primary_700",
    "checkbox_label_border_color_selected_dark": "*primary_300",
    "checkbox_label_border_width": "1px",
    "checkbox_label_border_width_dark": "1px",
    "checkbox_label_text_color": "*neutral_900",
    "checkbox_label_text_color_dark": "*neutral_100",
    "checkbox_label_text_color_selected": "*primary_900",
    "checkbox_label_text_color_selected_dark": "*primary_50",
    "checkbox_label_shadow": "none",
    "checkbox_label_padding": "6px 12px",
    "slider_color": "*primary_700",
    "slider_color_dark": "*primary_400",
}

BUTTONS = {
    "button_transition": "background-color 0.12s ease, border-color 0.12s ease",
    "button_large_text_size": "*text_md",
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_dark": "*primary_600",
    "button_primary_background_fill_hover": "*primary_800",
    "button_primary_background_fill_hover_dark": "*primary_700",
    "button_primary_border_color": "*primary_700",
    "button_primary_border_color_dark": "*primary_400",
    "button_primary_text_color": "white",
    "button_primary_text_color_dark": "white",
    "button_secondary_background_fill": "white",
    "button_secondary_background_fill_dark": "*neutral_800",
    "button_secondary_background_fill_hover": "*neutral_100",
    "button_secondary_background_fill_hover_dark": "*neutral_700",
    "button_secondary_border_color": "*neutral_400",
    "button_secondary_border_color_dark": "*neutral_500",
    "button_secondary_text_color": "*neutral_900",
    "button_secondary_text_color_dark": "*neutral_50",
    "button_border_width": "1px",
    "button_border_width_dark": "1px",
    "button_cancel_background_fill": "white",
    "button_cancel_background_fill_dark": "*neutral_900",
    "button_cancel_background_fill_hover": "#fdeceb",
    "button_cancel_background_fill_hover_dark": "#3a1b1b",
    "button_cancel_border_color": "#a32a22",
    "button_cancel_border_color_dark": "#f0a39d",
    "button_cancel_text_color": "#8f221b",
    "button_cancel_text_color_dark": "#f6b9b4",
    "button_cancel_text_color_hover": "#8f221b",
    "button_cancel_text_color_hover_dark": "#f6b9b4",
}


def studio_theme() -> gr.themes.Base:
    """System fonts and a petrol accent on cool grey, with a contrast of at least 4.5:1."""
    theme = gr.themes.Base(
        primary_hue=PETROL,
        secondary_hue=PETROL,
        neutral_hue=MIST,
        text_size=sizes.text_md,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_md,
        font=SANS,
        font_mono=MONO,
    )
    return theme.set(**SURFACES, **TEXTS, **FIELDS, **BUTTONS)

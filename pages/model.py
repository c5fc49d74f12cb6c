"""Model: how good it is, where it fails, its report card, another one, its training, one's own."""

from __future__ import annotations

from app import frame, model_views, own_model, report_card, services, two_models

SECTIONS = (
    "How good", "Worth a look", "Report card", "Two models", "Training runs", "My own model",
)  # fmt: skip

view = frame.page("Model", SECTIONS)
section = frame.part_of(view, SECTIONS, "model-section")
usable = services.model(view) is not None
if usable:
    model_views.model_facts(view)
if section == "Training runs":
    model_views.training_runs()
elif section == "My own model":
    own_model.own_model(view)
elif not usable:
    frame.empty(
        f"There is no usable model{' ' + view.model if view.model else ''}.",
        "Name a folder of models on the Settings page, or bring your own: 'My own model' above.",
    )
elif section == "Report card":
    frame.wait_for_predictions(view)
    report_card.report_card(view)
elif section == "Two models":
    frame.wait_for_predictions(view)
    two_models.two_models(view)
else:
    judged = model_views.quality(view, frame.wait_for_predictions(view))
    if section == "How good":
        model_views.how_good(view, judged)
    else:
        model_views.worth_a_look(view, judged)

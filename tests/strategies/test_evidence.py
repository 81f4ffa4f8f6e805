import json

from transferkit.strategies.evidence import Evidence


def test_evidence_is_plain_numbers_for_plan_json():
    evidence = Evidence(
        stages={"stage1": 0.5, "stage2": 0.75},
        together=0.8,
        gap=0.05,
        gap_error=0.02,
        probe_images=40,
        batchnorm=0.12,
        batchnorm_layers={"bn1": 0.12},
        curve=((2.5, 0.6), (8.0, 0.8)),
    )
    entry = json.loads(json.dumps(evidence.as_dict()))
    assert entry["stages"] == {"stage1": 0.5, "stage2": 0.75}
    assert entry["curve"] == [[2.5, 0.6], [8.0, 0.8]]
    assert entry["confidence"] is None and entry["gradients"] == {}

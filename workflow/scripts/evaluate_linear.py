"""The linear classifier on the test recordings."""

from framed import read_samples
from jobs import Named, Say, write_text
from reading import read_arrays
from tested import test_recordings

from hetspike.training.linear import counts, predict_linear


def main(*, input: Named, output: Named, wildcards: Named, say: Say) -> None:
    test = read_samples(input["test"])
    fitted = read_arrays(input["linear"], "weights", "biases")
    predicted = predict_linear(**fitted, counts=counts(test.frames))
    table = test_recordings(input["test"], input["events"]).assign(prediction=predicted)
    write_text(
        output["predictions"],
        table.assign(dataset=wildcards["dataset"]).to_csv(index=False),
    )
    say(f"test {100 * (table['label'] == table['prediction']).mean():.1f} %")

"""Does nothing, as bench/models/noop.js does: what remains is Cog's server and the way to its worker."""

from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self) -> str:
        return ""

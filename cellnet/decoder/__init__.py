"""From embeddings back to text: found in a bank, or written word by word."""

from cellnet.decoder.generative import GenerativeDecoder, Written, check_target
from cellnet.decoder.retrieval import Match, TextDecoder
from cellnet.decoder.training import DecoderData, reconstructions, train_decoder
from cellnet.decoder.vocabulary import Vocabulary

__all__ = [
    "DecoderData",
    "GenerativeDecoder",
    "Match",
    "TextDecoder",
    "Vocabulary",
    "Written",
    "check_target",
    "reconstructions",
    "train_decoder",
]

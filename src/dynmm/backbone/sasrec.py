"""SASRec: a causal transformer over what a user took, with the item table tied to its output.

Kang & McAuley 2018 (arXiv:1808.09781), in pre-norm form, with two departures that carry most of the
accuracy: the output is a cosine, <h/|h|, e/|e|> / temperature, and order is either known by places that are
counted from the newest event, so that "the last thing taken" is the same place in a history of 3 and of 50,
or by attention that fades with the distance (Press et al. 2022, arXiv:2108.12409).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, gelu, normalize, pad

from dynmm.topk import SAME_KERNEL_ROWS
from dynmm.training.dropout import drop
from dynmm.training.softmax import unit_rows

#: Stands for minus infinity in attention scores, in any precision.
NEVER = -1e30

#: How fast attention fades with each step back: in the first head by half a logit, so that it sees the last
#: few events; in the last head so slowly that it sees some fifty; in between geometrically.
FIRST_SLOPE, LAST_SLOPE = 0.5, 0.05


def attend(query: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> Tensor:
    """Softmax attention as two batched products. query: (N, Q, H), key, value: (N, L, H). Returns (N, Q, H).

    hidden: added to the scores; its first axis is 1, N or a divisor of N, along which it repeats. At histories
    of up to some 200 places this trains two to four times as fast on a CPU as the blocked kernel behind
    `scaled_dot_product_attention`.
    """
    scale = 1 / math.sqrt(query.shape[-1])
    if 1 < len(hidden) < len(query):
        hidden = hidden.to(query.dtype).repeat(len(query) // len(hidden), 1, 1)
    scores = torch.baddbmm(hidden.to(query.dtype), query, key.transpose(1, 2), alpha=scale)
    return torch.bmm(torch.softmax(scores, dim=-1), value)


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward, each added to its input."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        """width: D, divisible by heads. inner: width of the feed-forward layer. dropout: on both branches."""
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.attended = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor, hidden: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """(B, L, D) to (B, L, D); hidden: (1 or heads, L, L), added to the attention scores."""
        query, key, value = self._project(x)
        seen = attend(query, key, value, hidden)
        batch, length, width = x.shape
        joined = seen.view(batch, self.heads, length, -1).transpose(1, 2).reshape(batch, length, width)
        return self._add(x, joined, noise)

    def newest(self, x: Tensor, lengths: Tensor, slopes: Tensor | None) -> Tensor:
        """(B, L, D) to (B, D): the same at each user's last place alone, which is all that ranking needs.

        slopes: (heads,) of the fading attention, or none.
        """
        batch, length, _ = x.shape
        query, key, value = self._project(x)
        rows, last = torch.arange(batch, device=x.device), lengths - 1
        asked = query.view(batch, self.heads, length, -1)[rows, :, last].flatten(0, 1).unsqueeze(1)
        places = torch.arange(length, device=x.device)
        hidden = ((places >= lengths[:, None]).to(x.dtype) * NEVER).repeat_interleave(self.heads, 0)
        if slopes is not None:
            back = (last[:, None] - places).clamp(min=0).repeat_interleave(self.heads, 0)
            hidden = hidden - slopes.repeat(batch)[:, None] * back
        seen = attend(asked, key, value, hidden.unsqueeze(1))
        missing = (0, 0, 0, max(0, SAME_KERNEL_ROWS - batch))
        return self._add(pad(x[rows, last], missing), pad(seen.reshape(batch, -1), missing), None)[:batch]

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (B * heads, L, D / heads) each."""
        batch, length, width = x.shape
        joined = self.query_key_value(self.attention_norm(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = joined.permute(2, 0, 3, 1, 4).reshape(3, batch * self.heads, length, -1)
        return query, key, value

    def _add(self, x: Tensor, seen: Tensor, noise: torch.Generator | None) -> Tensor:
        x = x + drop(self.attended(seen), self.dropout, noise)
        inner = drop(gelu(self.widen(self.feed_norm(x))), self.dropout, noise)
        return x + drop(self.narrow(inner), self.dropout, noise)


class SASRec(nn.Module):
    """A user vector from the newest `positions` items; items and users meet in one inner product.

    In what follows B users, L history length, I items, D width. Histories are padded on the right; the
    causal order keeps padding out of every real place, so any item may pad.
    """

    def __init__(
        self,
        n_items: int,
        *,
        width: int = 256,
        blocks: int = 2,
        heads: int = 2,
        positions: int = 50,
        inner: int = 256,
        input_dropout: float = 0.5,
        block_dropout: float = 0.5,
        temperature: float = 0.05,
        item_scale: float = 0.02,
        fading: bool = False,
        init: torch.Generator | None = None,
    ) -> None:
        """Plain sizes and rates. init: draws the first weights; the same generator gives the same weights.

        temperature: divides the cosine of user and item. item_scale: standard deviation of the item table
        at the start. fading: know the order by attention that fades with the distance, in place of a learned
        vector for each place. Raises ValueError where heads do not divide the width.
        """
        super().__init__()
        if width % heads:
            raise ValueError(f"the width {width} cannot be split among {heads} heads")
        self.slopes: Tensor | None
        self.positions, self.input_dropout, self.temperature = positions, input_dropout, temperature
        self.item_table = nn.Parameter(torch.empty(n_items, width))
        self.place_table = None if fading else nn.Parameter(torch.empty(positions, width))
        slopes = torch.logspace(math.log10(FIRST_SLOPE), math.log10(LAST_SLOPE), heads) if fading else None
        self.register_buffer("slopes", slopes, persistent=False)
        self.start = nn.Parameter(torch.zeros(width), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, heads, inner, block_dropout) for _ in range(blocks))
        self.final_norm = nn.LayerNorm(width)
        self._initialise(item_scale, init)

    @torch.no_grad()
    def _initialise(self, item_scale: float, init: torch.Generator | None) -> None:
        self.item_table.normal_(std=item_scale, generator=init)
        if self.place_table is not None:
            self.place_table.normal_(std=0.02, generator=init)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.normal_(std=max(0.02, 0.5 / math.sqrt(layer.in_features)), generator=init)
                layer.bias.zero_()

    def forward(
        self, items: Tensor, lengths: Tensor, noise: torch.Generator | None = None, table: Tensor | None = None
    ) -> Tensor:
        """What is known after each place. items: (B, L) int64. lengths: (B,) real items, at least 1 each.

        noise: draws the dropout of a training step; none means inference. table: (R, D) to look items up in,
        instead of the item table. Returns (B, L, D) float32, before `users`. Places behind a user's length
        hold nothing of meaning.
        """
        x = drop(self._embed(items, lengths, self.item_table if table is None else table), self.input_dropout, noise)
        hidden = self._hidden(x)
        for block in self.blocks:
            x = block(x, hidden, noise)
        known: Tensor = self.final_norm(x.float())
        return known

    def encode(self, items: Tensor, lengths: Tensor) -> Tensor:
        """The user vectors of one padded batch, (B, D) float32. lengths may hold 0: that gives `start`.

        A user's vector depends on the padded length, never on the other rows; `inference.inference_batches`
        makes the padded length a function of the user's own length, and then it is the same to the bit in
        every batch (in float32 on a CPU; elsewhere to rounding).
        """
        found = self.users(self.newest(items, lengths.clamp(min=1), self.item_table))
        return torch.where(lengths[:, None] > 0, found, self.start)

    def newest(self, items: Tensor, lengths: Tensor, table: Tensor) -> Tensor:
        """What is known after each user's last place, before `users`: (B, D) float32, without dropout.

        table: (R, D) to look items up in. Otherwise as `forward`.
        """
        x = self._embed(items, lengths, table)
        hidden = self._hidden(x)
        for block in self.blocks[:-1]:
            x = block(x, hidden)
        last = self.blocks[-1]
        assert isinstance(last, Block)
        known: Tensor = self.final_norm(last.newest(x, lengths, self.slopes).float())
        return known

    def users(self, hidden: Tensor) -> Tensor:
        """(..., D) states to user vectors: unit length over the temperature."""
        return normalize(hidden, dim=-1) / self.temperature

    def items(self) -> Tensor:
        """(I, D) item vectors of unit length."""
        return unit_rows(self.item_table)

    def _hidden(self, x: Tensor) -> Tensor:
        """(1 or heads, L, L): `NEVER` where a place would look at a later one; else 0, or less with the distance."""
        length = x.shape[1]
        later = torch.full((length, length), NEVER, device=x.device).triu(1).unsqueeze(0)
        if self.slopes is None:
            return later
        places = torch.arange(length, device=x.device)
        back = (places[:, None] - places).clamp(min=0)
        return later - self.slopes[:, None, None] * back

    def _embed(self, items: Tensor, lengths: Tensor, table: Tensor) -> Tensor:
        items_alone = embedding(items, table)
        if self.place_table is None:
            return items_alone
        age = lengths[:, None] - 1 - torch.arange(items.shape[1], device=items.device)
        return items_alone + self.place_table[age.clamp(min=0)]

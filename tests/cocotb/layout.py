"""The card's layouts, codes and constants, read from the generated gw_layout_pkg.sv, so that no number is typed twice.

Owns the reading of that one file. What the fields mean stands in CARD.md.
"""

import pathlib
import re

PACKAGE = pathlib.Path(__file__).resolve().parents[2] / "hdl-bindings/rtl/gen/gw_layout_pkg.sv"


class Layouts:
    """Structs by name (`vip_match`), codes by name (`DispositionHostPunt`), constants by name (`Vips`)."""

    def __init__(self, text):
        self.structs, self.codes, self.sets = {}, {}, {}
        for body, name in re.findall(r"typedef struct packed \{(.*?)\} gw_(\w+)_t;", text, re.S):
            fields, offset = [], 0
            found = re.findall(r"logic (?:\[(\d+):0\] )?(\w+);", body)
            for high, field in reversed(found):  # the last field lies in the low bits
                bits = int(high) + 1 if high else 1
                fields.append((field, offset, bits))
                offset += bits
            self.structs[name] = (fields, offset)
        for body, name in re.findall(r"typedef enum logic \[\d+:0\] \{(.*?)\} gw_(\w+)_e;", text, re.S):
            self.sets[name] = {}
            for code, value in re.findall(r"(\w+) = \d+'d(\d+)", body):
                self.codes[code] = int(value)
                self.sets[name][int(value)] = code
        self.constants = {
            name: int(value, 16) if base else int(value)
            for name, base, value in re.findall(r"localparam [^=]*?(\w+) = (\d+'h)?([0-9a-f]+);", text)
        }

    def pack(self, struct, **values):
        """The entry's bits as a number; fields that are not given are 0."""
        fields, _ = self.structs[struct]
        known = {field: (offset, bits) for field, offset, bits in fields}
        word = 0
        for field, value in values.items():
            offset, bits = known[field]
            assert 0 <= value < 1 << bits, f"{struct}.{field} does not hold {value:#x}"
            word |= value << offset
        return word

    def unpack(self, struct, word):
        """The fields by name."""
        fields, _ = self.structs[struct]
        return {field: word >> offset & ((1 << bits) - 1) for field, offset, bits in fields}

    def __getattr__(self, name):
        for source in ("codes", "constants"):
            if name in self.__dict__.get(source, {}):
                return self.__dict__[source][name]
        raise AttributeError(name)


L = Layouts(PACKAGE.read_text())

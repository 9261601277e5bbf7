"""Generated code as a firmware engineer gets it: a folder for CMake, for the Arduino IDE, or to copy from.

src/            everything that has to be compiled, and the headers; the application includes <name>.h
examples/       main.c, and the same as a sketch
CMakeLists.txt  a static library target; library.properties: the same for Arduino; README.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack import __version__
from edgepack.converters.mcu.program import C_TYPES

if TYPE_CHECKING:
    from edgepack.converters.mcu.compile import GeneratedCode


def source_tree(code: GeneratedCode) -> dict[str, str]:
    """Return every file of the folder: relative path to content; the same code gives the same bytes."""
    name = code.name
    return {
        **{f"src/{file}": text for file, text in code.files.items()},
        "CMakeLists.txt": _cmake(code),
        "library.properties": _properties(name),
        "README.md": _readme(code),
        "examples/main.c": _example(code),
        f"examples/{name}/{name}.ino": _sketch(code),
    }


def _cmake(code: GeneratedCode) -> str:
    sources = "\n".join(f"  src/{file}" for file in sorted(code.files) if file.endswith(".c"))
    return f"""# add_subdirectory() this folder and link {code.name}; built alone, it makes the example too.
cmake_minimum_required(VERSION 3.13)
project({code.name} C)

add_library({code.name} STATIC
{sources})
target_include_directories({code.name} PUBLIC src)
target_compile_features({code.name} PUBLIC c_std_99)

if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
  add_executable({code.name}_example examples/main.c)
  target_link_libraries({code.name}_example {code.name})
endif()
"""


def _properties(name: str) -> str:
    return f"""name={name}
version={__version__}
author=edgepack
maintainer=edgepack
sentence=A neural network compiled to C.
paragraph=No interpreter, no allocation; the sketch owns the memory.
category=Data Processing
url=https://github.com/edgepack/edgepack
architectures=*
includes={name}.h
dot_a_linkage=true
"""


def _readme(code: GeneratedCode) -> str:
    upper = code.name.upper()
    return f"""# {code.name}

A neural network as C99, compiled by edgepack {__version__} for {code.origin.core}.
It allocates nothing, keeps everything in the arena that the caller owns, and calls
nothing but `memcpy` and `memset`.

```c
#include "{code.name}.h"

static uint32_t arena[({upper}_ARENA_BYTES + 3) / 4]; /* {code.plan.arena_bytes} bytes */

{_init(code, "")}/* fill {code.name}_input_0(arena), then */
{code.name}_invoke(arena);
/* and read {code.name}_output_0(arena) */
```

- **CMake**: `add_subdirectory` this folder, link `{code.name}`.
- **Arduino**: put this folder into `libraries/`; the sketch is in `examples/`.
- **Anything else**: compile `src/*.c` with `-O2`, add `src` to the include path.

Inputs share the arena with everything else: fill them anew before each inference.
`{code.name}.h` holds shapes, scales and zero points: `real = SCALE * (stored - ZERO_POINT)`.
Calls on different arenas may run at the same time.

## Several models in one program

Build each folder as a static library, as CMake and Arduino do here. Kernels of the same content
have the same symbol, so the linker keeps one of each; kernels made by another version of edgepack
have other symbols, so they never mix. If you compile all files into one program without libraries,
leave out the `ep_*.c` that another folder has already brought.
"""


def _example(code: GeneratedCode) -> str:
    return f"""/* Runs {code.name} once on zeros: replace the loop by your own samples. */
#include "{code.name}.h"

static uint32_t arena[({code.name.upper()}_ARENA_BYTES + 3) / 4];

int main(void) {{
{_init(code, "  ")}{_body(code)}
  return 0;
}}
"""


def _sketch(code: GeneratedCode) -> str:
    return f"""/* Runs {code.name} on zeros, again and again, and prints how long it takes. */
#include <{code.name}.h>

static uint32_t arena[({code.name.upper()}_ARENA_BYTES + 3) / 4];

void setup() {{
  Serial.begin(115200);
{_init(code, "  ")}}}

void loop() {{
  const unsigned long begin = micros();
{_body(code)}
  Serial.println(micros() - begin);
}}
"""


def _init(code: GeneratedCode, indent: str) -> str:
    """Return the line that sets the state of a model that has one."""
    return (
        f"{indent}{code.name}_init(arena); /* once: the state of the model */\n" if code.program.state else ""
    )


def _body(code: GeneratedCode) -> str:
    """Return the lines that fill every input, run the model and name the outputs."""
    name, lines = code.name, []
    for number, index in enumerate(code.program.inputs):
        c_type = C_TYPES[code.program.values[index].dtype]
        lines += [
            f"  {c_type} *const input_{number} = {name}_input_{number}(arena);",
            f"  for (int32_t i = 0; i < {name.upper()}_INPUT_{number}_SIZE; ++i) {{",
            f"    input_{number}[i] = 0;",
            "  }",
        ]
    lines.append(f"  {name}_invoke(arena);")
    for number, index in enumerate(code.program.outputs):
        c_type = C_TYPES[code.program.values[index].dtype]
        lines.append(f"  const {c_type} *const output_{number} = {name}_output_{number}(arena);")
        lines.append(f"  (void)output_{number}; /* {name.upper()}_OUTPUT_{number}_SIZE values */")
    return "\n".join(lines)

"""Import a `.tflite`: as it is, apart from the batch."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from edgepack.converters.errors import ConversionError
from edgepack.converters.importers.job import versions_of
from edgepack.converters.tflite.reader import read_graph

if TYPE_CHECKING:
    from edgepack.converters.importers.job import ImportedTools, ImportJob


def import_tflite(job: ImportJob) -> ImportedTools:
    """Copy the file, with its batch set where it has another or a free one.

    Raises:
        ConversionError: The file is broken, or its batch cannot be changed.
    """
    graph = read_graph(job.path)
    main = graph.main
    signatures = [main.tensors[index].shape_signature for index in main.inputs]
    if not signatures:
        msg = f"'{job.source}' has no inputs."
        raise ConversionError(msg, remedy="Give a model that computes its outputs from an input.")
    if all(-1 not in signature and signature[:1] in ((), (job.batch,)) for signature in signatures):
        shutil.copyfile(job.path, job.output)
    else:
        from edgepack.converters.tflite.writer import set_batch

        job.output.write_bytes(set_batch(job.path.read_bytes(), job.batch))
    return versions_of("edgepack")

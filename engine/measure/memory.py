"""Peak memory of a fresh process that only loads a packed checkpoint and generates.

    python -m engine.measure.memory '{"folder": …, "protocol": {…}, "threads": 2}'     what `measure` runs

Peak memory never falls within a process, so it takes a process of its own. Its peak right after the imports, which is
all that a process that only imports would reach, is subtracted. Resident memory includes the pages of files mapped into
it: a checkpoint whose tensors are used where they are mapped counts once, one that is mapped *and* copied would twice.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from engine.checkpoints import checkpoint
from engine.layers.bnb_matrix import quantized
from engine.layers.formats import KERNEL_BITS, KERNEL_ROWS
from engine.layers.packed_linear import PackedLinear
from engine.layers.packed_matrix import PackedMatrix
from engine.measure.latency import greedy, prompt_tokens
from engine.measure.peak import peak_bytes
from engine.paths import ROOT
from engine.spec import Protocol
from engine.system.child import explain_exit, leave

_TAIL = 2000


def measure(folder: Path, protocol: Protocol, threads: int) -> int:
    """Peak bytes of a fresh process that loads the packed checkpoint in bf16 and generates, beyond its imports.

    It reads a prompt of `prompt_tokens` and decodes `decode_tokens`, `batch_size` at once. On a GPU the bytes are those
    that torch allocated there. Raises RuntimeError, with its reason, where the process fails.
    """
    load_kernels(folder)  # compiling takes memory of its own, which must not be the fresh process's
    job = json.dumps({"folder": str(folder.resolve()), "protocol": asdict(protocol), "threads": threads})
    command = [sys.executable, "-m", "engine.measure.memory", job]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr[-_TAIL:])
        raise RuntimeError(f"loading and generating in a fresh process: {explain_exit(done.returncode, done.stderr)}")
    return int(json.loads(done.stdout.splitlines()[-1])["peak_memory_bytes"])


def load_kernels(folder: Path) -> None:
    """Bring the kernels of a checkpoint's packed layers into this process, compiling those never used before."""
    layout = folder / checkpoint.LAYOUT
    packed = json.loads(layout.read_text(encoding="utf-8"))["packed"] if layout.exists() else {}
    for format in sorted({packing["format"] for packing in packed.values() if "format" in packing}):
        quantized(torch.ones(8, 8), format).multiply(torch.ones(1, 8, dtype=torch.bfloat16), None)
    for bits in sorted({packing.get("bits") for packing in packed.values()} & set(KERNEL_BITS)):
        codes, scales = torch.zeros(2, 8, dtype=torch.uint8), torch.ones(2, 1, dtype=torch.float16)
        layer = PackedLinear(PackedMatrix.from_codes(codes, scales, None, bits))
        for tokens in (1, KERNEL_ROWS + 1):
            layer(torch.ones(tokens, 8, dtype=torch.bfloat16))


def main(job: str) -> None:
    """Load, generate, and print the peak beyond the imports, to which the kernels' machine code belongs."""
    values = json.loads(job)
    folder, protocol = Path(values["folder"]), Protocol.from_dict(values["protocol"])
    torch.set_num_threads(values["threads"])
    load_kernels(folder)
    imported = peak_bytes()
    model = checkpoint.load(folder, torch.bfloat16, protocol.device)
    with torch.inference_mode():
        greedy(model.network, prompt_tokens(model.network, protocol), protocol.decode_tokens)
    on_gpu = protocol.device == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else peak_bytes() - imported
    print(json.dumps({"peak_memory_bytes": peak}))


if __name__ == "__main__":
    main(sys.argv[1])
    leave(0)

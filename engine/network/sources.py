"""Where a model comes from: the default, a local Hugging Face folder, or a hub id. Importable without torch.

    resolve("smollm2-135m-instruct"), resolve("models/mine"), resolve("Qwen/Qwen2.5-0.5B", revision="main")

Only safetensors, JSON and tokenizer files are taken; pickles are never read and no code of a model is ever run.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from engine import assets
from engine.errors import InputError, unknown
from engine.network import weights
from engine.paths import cache_dir, user_path
from engine.system.whole_files import replace_text

_HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TAKEN = ("model*.safetensors", "*.json", "tokenizer.model", "*.txt", "*.jinja")
_LEFT = ("*/*",)  # subfolders hold other formats and training states
_MEANING = ("config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "merges.txt")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


@dataclass(frozen=True)
class Source:
    """A model's folder, checked: it holds whole safetensors, a configuration and a tokenizer.

    name: what it is shown and resolved under; revision: the hub commit; weights_sha256: over the weights and over what
    gives them their meaning, configuration and tokenizer; parameters: ties once.
    """

    name: str
    folder: Path
    revision: str | None
    weights_sha256: str
    model_type: str
    parameters: int
    config: dict[str, Any]


@dataclass(frozen=True)
class Known:
    """A model that needs no network; `ready` is False only for a default that was not fetched yet."""

    name: str
    origin: Literal["default", "hub", "folder"]
    revision: str | None
    model_type: str
    parameters: int | None
    ready: bool = True


def resolve(name: str, revision: str | None = None, *, fetch: bool = True) -> Source:
    """The source that a name means: the default's name, else a folder, else a hub id.

    fetch: whether a hub model may be downloaded; else only a commit that is in the cache is found.
    Raises InputError in one sentence: no such name, no network, no weights, pickled or quantized weights, a truncated
    file, no configuration or tokenizer, not a causal language model.
    """
    name = name.strip()
    if name == assets.MODEL_NAME:
        _refuse_revision(name, revision)
        return _checked(name, assets.model_dir(), None)
    if name and (folder := user_path(name, "the model")).is_dir():
        _refuse_revision(name, revision)
        source = _checked(str(folder.resolve()), folder.resolve(), None)
        _remember(source.name)
        return source
    return _from_hub(name, revision, fetch)


def known() -> list[Known]:
    """The models usable without network: the default, then folders used before, then the hub's cache."""
    rows = [_known_default(), *_known_folders(), *_known_hub()]
    return list({(row.name, row.revision): row for row in rows}.values())


def _checked(name: str, folder: Path, revision: str | None) -> Source:
    """The source of a folder, after every check that needs no tensor; the hash comes last, as it reads everything."""
    config = _config(folder)
    files = weights.files(folder)
    parameters = weights.parameters(weights.tensors(files), config)
    if not any((folder / tokenizer).is_file() for tokenizer in _TOKENIZERS):
        raise InputError(f"{folder} holds no tokenizer; it needs one of {', '.join(_TOKENIZERS)}")
    digest = weights.sha256([*files, *(folder / name for name in _MEANING if (folder / name).is_file())])
    return Source(name, folder, revision, digest, str(config["model_type"]), parameters, config)


def _config(folder: Path) -> dict[str, Any]:
    """The configuration of a plain causal LM; raises InputError for anything else."""
    path = folder / "config.json"
    if (folder / "kneepoint.json").is_file():
        raise InputError(f"{folder} is a packed checkpoint of ours; give the model it was made from, or a plain export")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} holds no config.json; a model folder needs one in Hugging Face format") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} can't be read as JSON ({error})") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise InputError(f"{path} names no model_type")
    if config.get("quantization_config"):
        raise InputError(f"{folder} holds weights that are quantized already; give the model they were made from")
    names = config.get("architectures") or []
    if not isinstance(names, list):
        raise InputError(f"{path} must list its architectures, got {names!r}")
    if names and not any(str(one).endswith(("ForCausalLM", "LMHeadModel")) for one in names):
        raise InputError(f"{folder} holds a {names[0]}, which is no causal language model")
    return config


def _from_hub(name: str, revision: str | None, fetch: bool) -> Source:
    usable = [assets.MODEL_NAME, *(row.name for row in _known_hub())]
    looks_local = name.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(name)
    if looks_local:
        raise InputError(f"there is no model folder {name!r}; give a folder, a hub id (owner/name) or {usable[0]!r}")
    if "/" not in name and name not in usable and get_close_matches(name, usable, n=1):
        raise unknown("model", name, usable)
    folder = _snapshot(name, revision, fetch)
    commit = folder.name if _COMMIT.fullmatch(folder.name) else revision
    return _checked(name, folder, commit)


def _snapshot(name: str, revision: str | None, fetch: bool) -> Path:
    """The folder of a hub model's files: from the cache for a commit that is there, else, if at all, the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted: dict[str, Any] = {"revision": revision, "allow_patterns": list(_TAKEN), "ignore_patterns": list(_LEFT)}
    if revision and _COMMIT.fullmatch(revision):
        with suppress(LocalEntryNotFoundError, InputError):  # not there, or only a part of it
            folder = Path(snapshot_download(name, local_files_only=True, **wanted))
            weights.tensors(weights.files(folder))
            return folder
    if not fetch:
        raise InputError(f"the model {name!r} is not on this machine")
    return _downloaded(name, wanted)


def _downloaded(name: str, wanted: dict[str, Any]) -> Path:
    from huggingface_hub import errors, snapshot_download

    at = f" at revision {wanted['revision']!r}" if wanted["revision"] else ""
    try:
        return Path(snapshot_download(name, **wanted))
    except errors.GatedRepoError:
        raise InputError(
            f"the model {name!r} is gated; accept its terms on the hub and log in with `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise InputError(f"the hub's model {name!r} has no revision {wanted['revision']!r}") from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise InputError(f"there is no model {name!r}: neither a folder here nor a public model on the hub") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError):
        raise InputError(
            f"the model {name!r}{at} is not on this machine and the hub can't be reached; "
            f"check the network, or use {assets.MODEL_NAME!r} or a local folder"
        ) from None
    except (errors.HfHubHTTPError, OSError) as error:
        words = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise InputError(f"the model {name!r}{at} could not be downloaded: {words[:200]}") from None


def _refuse_revision(name: str, revision: str | None) -> None:
    if revision is not None:
        raise InputError(f"revision is for hub models; {name!r} has none, got {revision!r}")


def _known_default() -> Known:
    if not assets.is_ready():
        return Known(assets.MODEL_NAME, "default", None, "llama", None, ready=False)
    row = _row(assets.MODEL_NAME, "default", None, assets.model_dir())
    return row or Known(assets.MODEL_NAME, "default", None, "llama", None, ready=False)


def _known_folders() -> Iterator[Known]:
    for folder in _remembered():
        if row := _row(folder, "folder", None, Path(folder)):
            yield row


def _known_hub() -> Iterator[Known]:
    """The causal LMs in the hub's cache whose files are whole, newest commit first."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repos = [repo for repo in scan_cache_dir().repos if repo.repo_type == "model"]
    except (CacheNotFound, OSError):
        return
    for repo in sorted(repos, key=lambda repo: repo.repo_id):
        for revision in sorted(repo.revisions, key=lambda revision: -revision.last_modified):
            if row := _row(repo.repo_id, "hub", revision.commit_hash, Path(revision.snapshot_path)):
                yield row


def _row(name: str, origin: Literal["default", "hub", "folder"], revision: str | None, folder: Path) -> Known | None:
    """The row of a folder, or None where it is no whole causal LM (any more)."""
    try:
        config = _config(folder)
        count = weights.parameters(weights.tensors(weights.files(folder)), config)
    except (InputError, OSError):
        return None
    return Known(name, origin, revision, str(config["model_type"]), count)


def _remembered() -> list[str]:
    try:
        folders = json.loads((cache_dir() / "folders.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [folder for folder in folders if isinstance(folder, str)] if isinstance(folders, list) else []


def _remember(folder: str) -> None:
    """Add a folder to the list of those used before, from which folders that are gone fall out."""
    folders = _remembered()
    if folder not in folders:
        there = [known for known in folders if Path(known).is_dir()]
        with suppress(OSError):  # on a full disk the list is as it was
            replace_text(cache_dir() / "folders.json", json.dumps([*there, folder], indent=1))

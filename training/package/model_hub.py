"""A model of a hub -> a folder on this machine, and a package -> the hub.

Either happens only when a user asks for it by name. The hub is the one that HF_ENDPOINT names, else
huggingface.co. The client library finds the token (HF_TOKEN, or what `hf auth login` stored). This
module neither keeps it nor puts it into messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError

from training.package.publication import Publication
from udfs.errors import HubError, InputError

_NAME = re.compile(r"[\w.-]+/[\w.-]+|[\w.-]+")
# The files to fetch: no code, and only the weights that
# training.foreign_models.foreign_weights reads.
_FILES = (
    "config.json",
    "model.safetensors",
    "pytorch_model.bin",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
)


def fetch_model(name: str) -> Path:
    """Fetches the files of a model, or finds them in the cache of an earlier fetch.

    Raises:
        InputError: it is not a name of a model, or the model is not in the cache and the hub cannot
            be reached or does not have it.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a hub: these are like owner/model")
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(_FILES)))
    except Exception as error:  # network, hub and disk raise their own
        raise InputError(
            f"{name} could not be fetched ({type(error).__name__}) and is not in the cache: where "
            f"there is a network, run `hf download {name} --local-dir FOLDER`, bring the folder "
            "here and name it with --model, without --from-hub"
        ) from None


def upload_package(publication: Publication, private: bool) -> str:
    """Puts the files into a repository in one commit and returns the address of the commit.

    The repository is made where there is none.

    Raises:
        InputError: there is no token.
        HubError: the hub cannot be reached or refuses, the repository is public though `private`
            was asked for, or the hub does not hold afterwards what was sent.
    """
    if not huggingface_hub.get_token():
        raise InputError(
            "no token for the hub: set HF_TOKEN to one that may write, or run `hf auth login`"
        )
    api, repository = huggingface_hub.HfApi(), publication.repository
    additions = [
        huggingface_hub.CommitOperationAdd(file.name, file.content or file.path)
        for file in publication.files
    ]
    with _hub_errors(repository, api.endpoint):
        api.create_repo(repository, private=private, exist_ok=True)
        if private and not api.model_info(repository).private:
            raise HubError(f"{repository} is there and public: nothing was sent; see --private")
        # One commit of named files; the library's upload of a folder would send every file in it,
        # perhaps in several commits.
        commit = api.create_commit(
            repository, additions, commit_message=f"Publish {publication.manifest.name}"
        )
        there = api.model_info(repository, revision=commit.oid, files_metadata=True)
    sizes = {file.rfilename: file.size for file in there.siblings or []}
    if lost := [file.name for file in publication.files if sizes.get(file.name) != file.size]:
        raise HubError(
            f"{commit.commit_url} does not hold {', '.join(lost)} as they were sent: publish again"
        )
    return str(commit.commit_url)


@contextmanager
def _hub_errors(repository: str, endpoint: str) -> Iterator[None]:
    """Raises what goes wrong at the hub as a HubError."""
    try:
        yield
    except HubError:
        raise
    except HfHubHTTPError as error:
        status = error.response.status_code
        said = f" It says: {error.server_message}" if error.server_message else ""
        if status in (401, 403, 404):
            raise HubError(
                f"{endpoint} does not let this token write to {repository} (status {status}): take "
                f"a token with the right to write, and an owner that it belongs to.{said}"
            ) from None
        raise HubError(f"{endpoint} refused {repository} (status {status}).{said}") from None
    except ValueError as error:  # so the library reports a card that the hub refuses
        raise HubError(f"{endpoint} refused {repository}: {error}") from None
    except Exception as error:  # network and library raise their own
        raise HubError(
            f"{endpoint} could not be reached, or broke off ({type(error).__name__}): publish "
            "again from a machine that has a network"
        ) from None

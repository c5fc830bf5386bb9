"""Terraform without a registry: `terraform validate` and `terraform test` against a provider that only has a schema.

It answers as a plugin (protocol 5) from `schema.json`: that of google 6.50, cut down to the types that infra/terraform uses; a
type that is new there must be added here. It sees misspelt arguments and blocks, missing ones, wrong types, references
and unknown resources. It does not see wrong enum values, and plans nothing: that is what `mock_provider` is for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SCHEMA = Path(__file__).with_name("schema.json")
PROVIDER = "hashicorp/google"
NESTING = {"single": 1, "list": 2, "set": 3}
SCALARS = {"int32": 5, "int64": 3, "bool": 8, "string": 9, "bytes": 12}
MESSAGES = {
    "DynamicValue": "bytes:msgpack bytes:json",
    "Diagnostic": "int32:severity string:summary string:detail",
    "Attribute": "string:name bytes:type string:description bool:required bool:optional bool:computed bool:sensitive",
    "NestedBlock": "string:type_name Block:block int32:nesting int64:min_items int64:max_items",
    "Block": "int64:version Attribute*:attributes NestedBlock*:block_types",
    "Schema": "int64:version Block:block",
    "NamedSchema": "string:key Schema:value",
    "SchemaResponse": "Schema:provider NamedSchema*:resources NamedSchema*:data_sources Diagnostic*:diagnostics"
    " Schema:provider_meta",
    "PrepareRequest": "DynamicValue:config",
    "PrepareResponse": "DynamicValue:prepared_config Diagnostic*:diagnostics",
    "Empty": "",
}
"""The few messages of Terraform's plugin protocol that are spoken, fields in the order of their numbers."""
EMPTY_ANSWERS = (
    "ValidateResourceTypeConfig ValidateDataSourceConfig GetFunctions GetResourceIdentitySchemas Stop"
).split()


@contextmanager
def offline() -> Iterator[dict[str, str]]:
    """The environment in which Terraform finds the provider."""
    with TemporaryDirectory() as folder:  # a socket's path must be short
        yield from _served(Path(folder) / "provider.sock")


def _served(socket: Path) -> Iterator[dict[str, str]]:
    import grpc

    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin5.Provider", _handlers()),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    address = {"Network": "unix", "String": str(socket)}
    plugin = {"Protocol": "grpc", "ProtocolVersion": 5, "Pid": os.getpid(), "Test": True, "Addr": address}
    try:
        yield {"TF_REATTACH_PROVIDERS": json.dumps({PROVIDER: plugin})}
    finally:
        server.stop(None).wait()


def _handlers() -> dict[str, Any]:
    import grpc

    kinds = _message_classes()
    schema = _schema_response(kinds)

    def method(reply: Any, request: str = "Empty", response: str = "Empty") -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda asked, _: reply(asked), kinds[request].FromString, kinds[response].SerializeToString
        )

    def prepared(asked: Any) -> Any:
        return kinds["PrepareResponse"](prepared_config=asked.config)

    return {name: method(lambda _: kinds["Empty"]()) for name in EMPTY_ANSWERS} | {
        "GetSchema": method(lambda _: schema, response="SchemaResponse"),
        "PrepareProviderConfig": method(prepared, "PrepareRequest", "PrepareResponse"),
    }


def _message_classes() -> dict[str, Any]:
    """Made at run time, so that no generated code is kept here."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="tfcheck.proto", package="tfcheck", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (kind, label) in enumerate((field.split(":") for field in fields.split()), 1):
            bare = kind.rstrip("*")
            field = message.field.add(name=label, number=number, label=3 if kind.endswith("*") else 1)
            field.type = SCALARS.get(bare, 11)
            if bare in MESSAGES:
                field.type_name = f".tfcheck.{bare}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tfcheck.{name}")) for name in MESSAGES}


def _schema_response(kinds: dict[str, Any]) -> Any:
    known = json.loads(SCHEMA.read_text())
    meta = {"attributes": {"module_name": {"type": "string", "optional": True}}, "blocks": {}}

    def block(spec: dict[str, Any]) -> Any:
        made = kinds["Block"]()
        for name, about in spec["attributes"].items():
            flags = {flag: about.get(flag, False) for flag in ("required", "optional", "computed")}
            made.attributes.add(name=name, type=json.dumps(about["type"]).encode(), **flags)
        for name, about in spec["blocks"].items():
            inner, nesting = block(about["block"]), NESTING[about["nesting"]]
            limits = {"min_items": about.get("min", 0), "max_items": about.get("max", 0)}
            made.block_types.add(type_name=name, block=inner, nesting=nesting, **limits)
        return made

    def schema(spec: dict[str, Any]) -> Any:
        return kinds["Schema"](block=block(spec))

    answer = kinds["SchemaResponse"](provider=schema(known["provider"]), provider_meta=schema(meta))
    for kind, entries in (("resources", answer.resources), ("data", answer.data_sources)):
        for name, spec in known[kind].items():
            entries.add(key=name, value=schema(spec))
    return answer

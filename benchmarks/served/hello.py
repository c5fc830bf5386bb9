"""The bare hello: what the functions-framework costs by itself."""

import functions_framework
from flask import Request


@functions_framework.http
def hello(_: Request) -> str:
    return "hello"

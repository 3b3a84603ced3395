"""The official client for Python, by the newest MCP: client.py stdio JACKFIELD REGISTRY | http URL; then FOLDER NEW.wasm"""

import asyncio
import json
import os
import pathlib
import shutil
import sys

from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError


async def main() -> None:
    way, *rest = sys.argv[1:]
    if way == "stdio":
        command, registry, folder, plugin = rest
        server = StdioServerParameters(command=command, args=["mcp", "--registry", registry], env=dict(os.environ))
    else:
        server, folder, plugin = rest
    target = pathlib.Path(folder, "greeter.wasm")
    async with Client(server) as client:
        assert client.server_info.name == "jackfield"
        assert client.protocol_version >= "2026-07-28", client.protocol_version
        # The client holds every result against the tool's schema.
        tools = (await client.list_tools()).tools
        total = await client.call_tool("calc__add", {"a": 1, "b": 2})
        assert total.structured_content == {"result": 3.0}, total
        own = await client.call_tool("calc__div", {"a": 1, "b": 0})
        assert own.is_error and json.loads(own.content[1].text)["error"] == "division by zero", own
        try:
            await client.call_tool("calc__ad", {})
            raise AssertionError("there is no such tool")
        except MCPError as error:
            assert "did you mean calc__add?" in str(error), error

        async def names() -> list[str]:
            return [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]

        assert "greeter__greet" not in await names()
        async with client.listen(tools_list_changed=True) as changes:
            events = aiter(changes)
            shutil.copy(plugin, target)
            while "greeter__greet" not in await names():
                await anext(events)
            target.unlink()
            while "greeter__greet" in await names():
                await anext(events)
        version = client.protocol_version
    print(f"python over {way}, MCP {version}: {len(tools)} tools, calls, errors and changes as they should be")


asyncio.run(asyncio.wait_for(main(), 120))

"""An agent with a tool on the SDK's default path: the responses interface. ``responses.py ADDRESS``; prints JSON."""

import asyncio
import json
import sys

from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
from openai import AsyncOpenAI


@function_tool
def weather(city: str) -> str:
    return f"fine in {city}"


async def main() -> None:
    set_tracing_disabled(True)
    set_default_openai_client(AsyncOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="any"))
    agent = Agent(name="helper", instructions="Be kind.", model="gpt-audio", tools=[weather])
    plain = await Runner.run(agent, "rain?")
    streamed = Runner.run_streamed(agent, "rain?")
    deltas = [
        event.data.delta
        async for event in streamed.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    print(json.dumps([plain.final_output, streamed.final_output, "".join(deltas)]))


asyncio.run(main())

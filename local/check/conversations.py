"""Forty conversations: roles, tools, calls, reasoning, Unicode, and conversations that templates
reject."""


def user(content, **more):
    return {"role": "user", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def developer(content):
    return {"role": "developer", "content": content}


def tool(content, **more):
    return {"role": "tool", "content": content, **more}


def call(name, arguments, **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def function(name, description, properties, **more):
    parameters = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters, **more}}


WEATHER = function("get_weather", "Tell the weather", {
    "city": {"type": "string", "description": "The city's name"},
    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
})
HTML = function("compare", "Tell if a < b & c's <x> \"y\"", {"größe": {"type": "number", "description": "größe ≥ 0"}})
NESTED = function("plan", "Plan a trip", {
    "stops": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}, "nights": {"type": "integer", "default": 1}}}},
    "budget": {"type": ["number", "null"], "minimum": 0.5},
    "flags": {"type": "object", "additionalProperties": {"type": "boolean"}},
}, strict=True)
EMPTY = {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}}
RETURNS = function("add", "Adds", {"a": {"type": "integer"}, "b": {"type": "integer"}}, **{"return": {"type": "integer"}})

ASKED = [user("What's the weather in Köln?"), assistant("", tool_calls=[call("get_weather", {"city": "Köln"})])]
ANSWERED = [*ASKED, tool("{\"temperature\": 21}", name="get_weather")]

CASES = {
    "one question": [user("Hi")],
    "one turn": [user("Hi"), assistant("Hello!")],
    "two turns": [user("Hi"), assistant("Hello!"), user("Bye"), assistant("See you.")],
    "an open question": [user("Hi"), assistant("Hello!"), user("And now?")],
    "a system message": [system("Be brief."), user("Hi"), assistant("Hello!")],
    "a system message alone": [system("Be brief.")],
    "an empty system message": [system(""), user("Hi"), assistant("Hello!")],
    "two system messages": [system("Be brief."), system("Be kind."), user("Hi"), assistant("Hello!")],
    "a late system message": [user("Hi"), assistant("Hello!"), system("Be brief."), user("Bye")],
    "a developer": [developer("Be brief."), user("Hi"), assistant("Hello!")],
    "a developer after a system": [system("Be brief."), developer("Use markdown."), user("Hi"), assistant("Hello!")],
    "an unknown role": [{"role": "narrator", "content": "Once"}, user("Hi"), assistant("Hello!")],
    "two users": [user("Hi"), user("There"), assistant("Hello!")],
    "two assistants": [user("Hi"), assistant("Hello!"), assistant("Again.")],
    "an assistant first": [assistant("Hello!"), user("Hi"), assistant("Welcome.")],
    "unicode": [user("naïve 日本 🎉 ﷽ e\u0301\u200d"), assistant("Größe: 10 µm\u00a0…\u2028")],
    "markup": [user("<b>a & b</b> \"it's\" {{ x }} {% y %} \\n"), assistant("<|im_end|> </s> [INST]")],
    "whitespace": [user("  two\n\n lines \t"), assistant("\n trailing \n\n")],
    "empty contents": [user(""), assistant("")],
    "many lines": [user("\n".join(f"line {n}" for n in range(20))), assistant("ok\r\nok")],
    "a long conversation": [part for n in range(12) for part in (user(f"{n}?"), assistant(f"{n}!"))],
    "reasoning in the text": [user("2+2"), assistant("<think>\nIt's four.\n</think>\n\n4"), user("3+3"), assistant("<think>six</think>6")],
    "reasoning beside the text": [user("2+2"), assistant("4", reasoning_content="It's four."), user("3+3"), assistant("6", reasoning_content="Six.")],
    "thinking": [user("2+2"), assistant("4", thinking="It's four.")],
    "text parts": [user([{"type": "text", "text": "Hi"}, {"type": "text", "text": " there"}]), assistant([{"type": "text", "text": "Hello!"}])],
    "an image": [user([{"type": "image"}, {"type": "text", "text": "What is it?"}]), assistant("A cat.")],
    "null fields": [user("Hi", name=None), assistant("Hello!", tool_calls=None)],
    "names": [user("Hi", name="Ada"), assistant("Hello!", name="Bot")],
    "a number as content": [user(7), assistant(1.5)],
    "calls without tools": ANSWERED,
}

WITH_TOOLS = {
    "a tool": (([user("Hi"), assistant("Hello!")]), [WEATHER]),
    "no tools": (([user("Hi"), assistant("Hello!")]), []),
    "tools with markup and unicode": ([system("Be brief."), user("Hi")], [HTML, WEATHER]),
    "a nested schema": ([user("Hi"), assistant("Hello!")], [NESTED, EMPTY, RETURNS]),
    "a call": (ASKED, [WEATHER]),
    "a call and its answer": ([*ANSWERED, assistant("21 °C.")], [WEATHER]),
    "a call with text": ([user("Weather?"), assistant("Let me see.", tool_calls=[call("get_weather", {"city": "a < b", "n": [1, 2.5, None, True]}, id="call12345")]), tool("21", tool_call_id="call12345", name="get_weather"), assistant("Done.")], [WEATHER]),
    "two calls": ([user("Both?"), assistant("", tool_calls=[call("get_weather", {"city": "Köln"}, id="abcdefghi"), call("now", {}, id="jklmnopqr")]), tool("21", tool_call_id="abcdefghi", name="get_weather"), tool("[1, {\"a\": \"ü\"}]", tool_call_id="jklmnopqr", name="now"), assistant("21 °C at noon.")], [WEATHER, EMPTY]),
    "arguments as text": ([user("Weather?"), assistant("", tool_calls=[call("get_weather", "{\"city\": \"Köln\"}")]), tool("21", name="get_weather")], [WEATHER]),
    "a call without content": ([user("Weather?"), {"role": "assistant", "tool_calls": [call("get_weather", {"city": "Köln"})]}, tool("21", name="get_weather")], [WEATHER]),
}

CONVERSATIONS = [{"name": name, "messages": messages} for name, messages in CASES.items()]
CONVERSATIONS += [{"name": name, "messages": messages, "tools": tools} for name, (messages, tools) in WITH_TOOLS.items()]

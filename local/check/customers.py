"""Made-up messages of customers, and what each one is about."""

import random

OPENINGS = ["Hello,", "Hi there!", "Good morning.", "To whom it may concern:", "Hey", "Dear team,"]
TOPICS = {
    "billing": [
        "I was charged twice, {n} and {n}", "please refund invoice {n}", "why is my bill {n} euros this month",
        "my card was declined for order {n}", "the discount of {n} percent is missing on the invoice",
    ],
    "delivery": [
        "my parcel {n} hasn't arrived", "the courier left order {n} in the rain", "tracking says {n} days late",
        "the driver went to house number {n} instead", "the box of order {n} came open",
    ],
    "account": [
        "I can't log in since {n} o'clock", "my password reset mail never came", "please close account {n}",
        "I want to change the mail address of user {n}", "two-factor codes don't work on my new phone",
    ],
    "quality": [
        "the kettle broke after {n} uses", "two of {n} glasses are chipped", "the screen flickers at {n} Hz",
        "the zip of the jacket came off after {n} days", "the paint peels off the shelf",
    ],
    "cancellation": [
        "cancel order {n} before it ships", "I changed my mind about number {n}", "stop my subscription from day {n}",
        "I don't want the {n} chairs any more", "please withdraw my order of yesterday",
    ],
    "question": [
        "is article {n} available in blue", "do you ship to {n} countries", "what are your opening hours on the {n}th",
        "which battery does model {n} take", "can I combine {n} vouchers",
    ],
}
LABELS = sorted(TOPICS)
CLOSINGS = ["Thanks!", "Please help.", "What can I do?", "This is the third time I write.", "Regards, Ann-Sofie Østergård"]


def messages(count, seed):
    """Conversations of a customer's message and its label."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        label = draw.choice(LABELS)
        text = draw.choice(TOPICS[label]).replace("{n}", str(draw.randint(2, 99999)))
        text = f"{draw.choice(OPENINGS)} {text}. {draw.choice(CLOSINGS)}"
        rows.append({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": label}]})
    return rows

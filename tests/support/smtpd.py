"""A mail server on a loopback port that keeps what it is given: one line of JSON on standard output for each mail.

python3 smtpd.py [--tls CERTIFICATE KEY] [--implicit] [--login NAME PASSWORD] [--host ADDRESS] [--no-8bit]

The first line is the port. It takes no mail for nobody@… (550), none just now for later@… (451), and for grey@… only when
asked again. It ends when its standard input does.
"""

import argparse
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


seen = set()


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [line for line in responses if not (options.no_8bit and "8BITMIME" in line)]

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("nobody@"):
            return "550 no such user"
        if address.startswith("later@") or address.startswith("grey@") and address not in seen:
            seen.add(address)
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "text": envelope.content.decode().replace("\r\n", "\n"),
            "tls": session.ssl is not None or options.implicit,
            "login": session.auth_data,
        }
        print(json.dumps(mail), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    given = [data.login.decode(), data.password.decode()]
    if given == options.login:
        return AuthResult(success=True, auth_data=given[0])
    return AuthResult(success=False, handled=False)


def protocol():
    starttls = context if not options.implicit else None
    return SMTP(
        Handler(),
        hostname="mail.example.test",
        tls_context=starttls,
        auth_required=options.login is not None,
        auth_require_tls=starttls is not None,
        authenticator=authenticate,
    )


async def main():
    server = await asyncio.get_running_loop().create_server(
        protocol, options.host, 0, ssl=context if options.implicit else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


parser = argparse.ArgumentParser()
parser.add_argument("--tls", nargs=2)
parser.add_argument("--implicit", action="store_true")
parser.add_argument("--login", nargs=2)
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--no-8bit", action="store_true")
options = parser.parse_args()
context = None
if options.tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*options.tls)
asyncio.run(main())

package gateway

import (
	"net"
	"strings"
	"time"
	"unicode"

	"ticketgate/gateway/lmtp"
	"ticketgate/gateway/verify"
)

// trace makes the header fields that we put before a mail: its return path, who
// wrote it, and where it came from (RFC 5321, 4.4). What clients said about
// themselves is cut down to what can't end a field or a comment.
func trace(hostname string, env *lmtp.Envelope, auth verify.Auth) string {
	var b strings.Builder
	b.WriteString("Return-Path: <" + tame(env.From) + ">\r\n")
	b.WriteString(auth.Header(hostname) + "\r\n")
	b.WriteString("Received: from " + origin(env) + "\r\n")
	b.WriteString("\tby " + hostname + " (" + handedOn(env) + ") with " + protocol(env) + " id " + env.ID)
	if len(env.Recipients) == 1 {
		b.WriteString("\r\n\tfor <" + tame(env.Recipients[0]) + ">")
	}
	b.WriteString(";\r\n\t" + env.ReceivedAt.UTC().Format(time.RFC1123Z) + "\r\n")
	return b.String()
}

// origin names the client: the one that the MTA in front had the mail from, if
// it told, else that MTA.
func origin(env *lmtp.Envelope) string {
	x := env.XForward
	if x.Helo == "" && x.Addr == "" {
		return or(tame(env.Hello), "unknown") + " (" + remote(env.Remote) + ")"
	}
	client := or(tame(x.Name), "unknown") + " [" + tame(x.Addr) + "]"
	return or(tame(x.Helo), "unknown") + " (" + client + ")"
}

// handedOn names us, and the MTA in front where it told of its client.
func handedOn(env *lmtp.Envelope) string {
	if env.XForward.Helo == "" && env.XForward.Addr == "" {
		return "ticketgate"
	}
	return "ticketgate, from " + or(tame(env.Hello), "unknown")
}

func remote(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return "[" + tcp.IP.String() + "]"
	}
	return "local"
}

func protocol(env *lmtp.Envelope) string {
	name := "LMTP"
	if env.Listener == FaceSMTP {
		name = "ESMTP"
	}
	if env.UTF8 {
		name = "UTF8" + strings.Replace(name, "ESMTP", "SMTP", 1) // RFC 6531, 4.3
	}
	return name
}

// tame leaves what may stand in a field: no control, blank or bracket.
func tame(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || strings.ContainsRune(" ()<>\\\";", r) {
			return -1
		}
		return r
	}, text)
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

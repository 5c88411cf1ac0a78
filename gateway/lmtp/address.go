package lmtp

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
)

// Longest parts of an address. RFC 5321, 4.5.3.1 has 64 octets as the least
// that a server must bear for a local part; bounce addresses of large senders
// are longer, and refusing them would bounce mail that an MTA has taken.
const (
	maxLocalPart = 256
	maxDomain    = 255
)

// cutPath takes the path off the front of what follows "FROM:" or "TO:". The
// brackets are optional, a source route is dropped (RFC 5321, 4.1.1.3).
func cutPath(arg string) (address, params string, ok bool) {
	arg = strings.TrimLeft(arg, " \t")
	bracket := strings.HasPrefix(arg, "<")
	if bracket {
		arg = arg[1:]
	}
	end := pathEnd(arg, bracket)
	if end < 0 || !bracket && end == 0 {
		return "", "", false
	}
	address, params = arg[:end], strings.TrimPrefix(arg[end:], ">")
	if strings.HasPrefix(address, "@") {
		_, address, ok = strings.Cut(address, ":")
		if !ok {
			return "", "", false
		}
	}
	return address, params, true
}

// pathEnd finds the closing bracket, or the first blank of a path without
// brackets, outside of quotes; -1 if there is none.
func pathEnd(s string, bracket bool) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case bracket && c == '>', !bracket && (c == ' ' || c == '\t'):
			return i
		}
	}
	if bracket || quoted {
		return -1
	}
	return len(s)
}

// checkReversePath gives the refusal of a sender that cannot be one, or nil.
func checkReversePath(address string, utf8Said bool) *smtp.SMTPError {
	if address == "" {
		return nil
	}
	return checkMailbox(address, utf8Said, &replyBadSender)
}

// checkForwardPath does it for a recipient. The lone word postmaster is a
// recipient (RFC 5321, 4.1.1.3).
func checkForwardPath(address string, utf8Said bool) *smtp.SMTPError {
	if strings.EqualFold(address, "postmaster") {
		return nil
	}
	return checkMailbox(address, utf8Said, &replyBadRecipient)
}

// checkMailbox is lenient where senders in the wild are odd (long local parts,
// dots in a row), and strict where an address would mean two things.
func checkMailbox(address string, utf8Said bool, bad *smtp.SMTPError) *smtp.SMTPError {
	if !utf8Said && !isASCII(address) {
		return &replyNeedsUTF8
	}
	at := strings.LastIndexByte(address, '@')
	if at < 0 || !utf8.ValidString(address) || strings.ContainsFunc(address, unicode.IsControl) {
		return bad
	}
	if !validLocalPart(address[:at]) || !validDomain(address[at+1:]) {
		return bad
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func validLocalPart(local string) bool {
	if local == "" || len(local) > maxLocalPart {
		return false
	}
	if local[0] != '"' {
		return !strings.ContainsAny(local, " \t\"()<>[]:;,\\@")
	}
	return validQuoted(local)
}

// validQuoted says whether s is one quoted string from its first to its last octet.
func validQuoted(s string) bool {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i == len(s)-1
		}
	}
	return false
}

func validDomain(domain string) bool {
	if domain == "" || len(domain) > maxDomain {
		return false
	}
	if literal, ok := strings.CutPrefix(domain, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		return ok && literal != "" && !strings.ContainsAny(literal, " \t\"()<>[];,\\")
	}
	return !strings.ContainsAny(domain, " \t\"()<>[]:;,\\")
}

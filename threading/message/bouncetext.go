package message

import "strings"

// maxBounceText bounds the text of a report that is no RFC 3464.
const maxBounceText = 64 << 10

// isBounceSender tells a mail that looks like a report by its sender, or by its
// subject where a machine sent it.
func isBounceSender(m *Message) bool {
	h := &m.Header
	if h.Has("X-Failed-Recipients") {
		return true
	}
	if h.Has("In-Reply-To") && strings.HasPrefix(strings.ToLower(m.Subject), "re:") {
		return false
	}
	null := strings.TrimSpace(h.Get("Return-Path")) == "<>"
	machine := null || isAutoSubmitted(h)
	for _, a := range m.From {
		switch local := strings.ToLower(a.Local); {
		case strings.Contains(local, "daemon"), null && local == "postmaster":
			return true
		case local == "postmaster" || local == "root" || local == "" || isNoReply(local) || strings.Contains(local, "delivery"):
			machine = true
		}
	}
	return (machine || len(m.From) == 0) && hasBounceSubject(m.Subject)
}

func isAutoSubmitted(h *Header) bool {
	v := strings.ToLower(strings.TrimSpace(h.Get("Auto-Submitted")))
	return v != "" && v != "no"
}

// hasBounceSubject knows what reports call themselves. People write such words
// too, so that they count only for what a machine sent.
func hasBounceSubject(subject string) bool {
	subject = strings.ToLower(subject)
	for _, p := range bounceSubjects {
		if strings.Contains(subject, p) {
			return true
		}
	}
	return false
}

var bounceSubjects = [...]string{
	"undeliverable", "undelivered mail", "undeliverable mail", "delivery status notification", "mail delivery failed",
	"mail delivery failure", "delivery failure", "failure notice", "returned mail", "delivery notification", "non delivery",
	"nondeliverable", "mail could not be delivered", "message could not be delivered", "unzustellbar", "nicht zugestellt",
	"échec de la remise", "non remis", "no se puede entregar", "mail system error", "delivery report", "warning: could not send",
	"delivery problem", "delivery failed", "mail delivery problem", "deliver mail failed", "mail not delivered", "user unknown",
	"not delivered", "mancato recapito", "messaggio non recapitato",
}

// fromText reads the words of systems that write no machine-readable part: the
// addresses that stand in the text with a reason near them.
func (r *bounceReader) fromText(m *Message) {
	text := cut(m.Text, maxBounceText)
	own, returned := splitReturned(text)
	r.idsFromText(returned)
	failed := ParseAddressList(m.Header.Get("X-Failed-Recipients"))
	if len(failed) == 0 {
		failed = addressesIn(own, ownAddresses(m))
	}
	if len(failed) == 0 {
		failed = r.to[:min(len(r.to), 1)]
	}
	code, status := findCodes(own)
	reason := reasonLine(own)
	for _, a := range failed {
		if len(r.b.Recipients) >= maxBounceRecipients {
			return
		}
		one := BounceRecipient{Address: a.String(), Status: status, SMTPCode: code, Text: reason, Action: "failed"}
		if isDelayText(m.Subject, own) {
			one.Action = "delayed"
		}
		one.finish()
		r.b.Recipients = append(r.b.Recipients, one)
	}
}

// splitReturned cuts the report's own words from the mail that it quotes.
func splitReturned(text string) (own, returned string) {
	pos := 0
	for line := range strings.SplitAfterSeq(text, "\n") {
		lower := strings.ToLower(strings.Trim(line, " -=*\r\n"))
		for _, p := range [...]string{"below this line is a copy", "original message", "this is a copy of the message",
			"returned message", "message header", "the original message", "unsent message follows", "received: from",
			"original mail", "return-path:", "undelivered message", "included is a copy", "message headers follow", "header of the"} {
			if strings.HasPrefix(lower, p) && pos > 0 && strings.Contains(text[:pos], "@") {
				return text[:pos], text[pos:]
			}
		}
		pos += len(line)
	}
	return text, text
}

// ownAddresses are those that a report names without their having failed.
func ownAddresses(m *Message) map[string]bool {
	known := map[string]bool{}
	for _, list := range [][]Address{m.From, m.Sender, m.To, m.ReplyTo} {
		for _, a := range list {
			known[a.Key()] = true
		}
	}
	return known
}

// addressesIn finds the addresses in s, each once, without those in but.
func addressesIn(s string, but map[string]bool) []Address {
	var out []Address
	seen := map[string]bool{}
	words := strings.FieldsFuncSeq(s, func(r rune) bool {
		return r <= ' ' || strings.ContainsRune(`<>()[],;:"`, r)
	})
	for w := range words {
		if strings.IndexByte(w, '@') <= 0 || len(w) > 320 || len(out) >= 20 {
			continue
		}
		a, err := ParseAddress(strings.Trim(w, ".'`"))
		if err != nil || strings.IndexByte(a.Domain, '.') < 0 {
			continue
		}
		if key := a.Key(); !but[key] && !seen[key] && !strings.HasPrefix(strings.ToLower(a.Local), "postmaster") {
			seen[key] = true
			out = append(out, a)
		}
	}
	return out
}

// reasonLine is the line that holds a code, or that says what went wrong.
func reasonLine(s string) string {
	best := ""
	for line := range strings.SplitSeq(s, "\n") {
		line = CleanLine(cut(line, 1000))
		if code, status := findCodes(line); code > 0 || status != "" {
			return line
		}
		lower := strings.ToLower(line)
		for _, p := range [...]string{"unknown", "not found", "does not exist", "no such", "quota", "full", "rejected", "refused", "unable", "denied", "disabled", "timed out"} {
			if best == "" && strings.Contains(lower, p) {
				best = line
			}
		}
	}
	return best
}

func isDelayText(subject, text string) bool {
	subject = strings.ToLower(subject)
	return strings.Contains(subject, "delay") || strings.Contains(subject, "warning:") ||
		strings.Contains(strings.ToLower(text), "this is a warning message only")
}

// idsFromText takes the Message-ID of a mail that is quoted in the text.
func (r *bounceReader) idsFromText(text string) {
	for line := range strings.SplitSeq(cut(text, maxBounceText), "\n") {
		line = strings.TrimSpace(line)
		if len(line) > 11 && strings.EqualFold(line[:11], "message-id:") {
			r.addID(strings.TrimSpace(line[11:]))
		}
	}
}

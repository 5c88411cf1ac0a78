package outbound

import (
	"strconv"
	"strings"

	"ticketgate/threading/message"
)

// maxReplyText is how much of what a server says is kept.
const maxReplyText = 500

// reply is an SMTP reply.
type reply struct {
	code     int
	enhanced string // RFC 3463, or ""
	text     string // one line, fit for a log and the database
}

// newReply reads what textproto gives: the lines of a reply without its codes.
// The enhanced code stands in front of each line (RFC 2034, 4).
func newReply(code int, text string) reply {
	r := reply{code: code}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		first, rest, _ := strings.Cut(line, " ")
		if isEnhanced(first, code) {
			r.enhanced, line = first, rest
		}
		lines = append(lines, line)
	}
	r.text = oneLine(strings.Join(lines, " "))
	return r
}

// isEnhanced tells an enhanced status code that fits the reply's own.
func isEnhanced(s string, code int) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(code/100) {
		return false
	}
	for _, part := range parts[1:] {
		if n, err := strconv.Atoi(part); err != nil || n < 0 || n > 999 || len(part) > 3 {
			return false
		}
	}
	return true
}

// oneLine makes text from outside fit for a log line and for the database.
func oneLine(s string) string {
	s = message.CleanLine(s)
	if len(s) > maxReplyText {
		s = strings.ToValidUTF8(s[:maxReplyText], "") + "..."
	}
	return s
}

// refused sorts a reply that is no success by the stage of the transaction it
// came at (RFC 5321, 4.2.1 and 4.5.3.1.10).
func (r reply) refused(stage string) class {
	switch {
	case stage == "MAIL" && (r.code == 530 || r.code == 534 || r.code == 535 || r.code == 538):
		return classConfig // it wants a log-in, or another one: RFC 4954, 6; later on it means this recipient
	case r.code == 552 && stage == "RCPT":
		return classDeferred // older servers say so for too many recipients
	case r.code >= 500 && r.code <= 599:
		return classFailed
	}
	return classDeferred
}

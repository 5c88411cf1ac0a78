package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
)

// field gives the unfolded value of a header field of a mail.
func field(mail, name string) string {
	head, _, _ := strings.Cut(mail, "\r\n\r\n")
	head = regexp.MustCompile(`\r\n[ \t]+`).ReplaceAllString(head, " ")
	for line := range strings.SplitSeq(head, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

var zoneLine = regexp.MustCompile(`^(\S+)\s+IN\s+TXT\s+\(?(.*?)\)?\s*$`)

// publish puts a zone-file line, as dkim new prints it, into DNS.
func publish(tb testing.TB, dns *testbed.DNSServer, line string) {
	tb.Helper()
	m := zoneLine.FindStringSubmatch(strings.Join(strings.Fields(line), " "))
	if m == nil {
		tb.Fatalf("dkim new printed %q", line)
	}
	var value strings.Builder
	for _, part := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(m[2], -1) {
		value.WriteString(part[1])
	}
	dns.Set(strings.TrimSuffix(m[1], "."), "TXT", value.String())
}

// toCustomer waits for a mail to an address that holds a text.
func toCustomer(tb testing.TB, sink *testbed.Sink, to, text string) testbed.Message {
	tb.Helper()
	var found testbed.Message
	within(tb, 60*time.Second, "a mail to "+to+" that says "+text, func() bool {
		for _, m := range sink.Messages() {
			if slices.Contains(m.To, to) && strings.Contains(string(m.Data), text) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// answersIn gives the answers that the sink got, by Message-ID.
func answersIn(sink *testbed.Sink, to string) map[string]int {
	count := map[string]int{}
	for _, m := range sink.Messages() {
		if slices.Contains(m.To, to) {
			count[field(string(m.Data), "Message-ID")]++
		}
	}
	return count
}

package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ticketgate/gateway/lmtp"
)

// deskFile makes a channel, the account support@tickets.example and an agent.
const deskFile = `
[[agent]]
email = "anna@agents.example"
name = "Anna"

[[channel]]
name = "Support"
subscriptions = [ { agent = "anna@agents.example" } ]

[[mail_account]]
address = "support@tickets.example"
name = "Support"
type = "ticket"
default_channel = "Support"
plus_addressing = true
new_ticket_limit = 0
`

// quietDesk is the same desk with nobody to be notified.
var quietDesk = strings.Replace(deskFile, `subscriptions = [ { agent = "anna@agents.example" } ]`, "", 1)

// apply makes the desk by a file.
func (n *node) apply(file string) {
	n.tb.Helper()
	path := filepath.Join(n.tb.TempDir(), "desk.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		n.tb.Fatal(err)
	}
	n.command("apply", path)
}

type ticket struct {
	Number          int64  `json:"number"`
	Subject         string `json:"subject"`
	SuggestedTicket int64  `json:"suggested_ticket"`
	Counts          struct {
		Activities int `json:"activities"`
	} `json:"counts"`
}

type activity struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Subject   string `json:"subject"`
	Text      string `json:"text"`
	MessageID string `json:"message_id"`
	Sender    string `json:"sender"`
	Delivery  string `json:"delivery"`
	Comment   string `json:"comment"`
	Auth      *struct {
		Verdict string `json:"verdict"`
	} `json:"auth"`
}

type delivery struct {
	ID        string `json:"id"`
	Recipient string `json:"recipient"`
	State     string `json:"state"`
	Attempts  []struct {
		Code int    `json:"code"`
		Text string `json:"text"`
	} `json:"attempts"`
}

type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// all reads a whole list.
func all[T any](n *node, path string) []T {
	n.tb.Helper()
	var items []T
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	for cursor := ""; ; {
		var page list[T]
		n.call("GET", path+join+"limit=200&cursor="+url.QueryEscape(cursor), nil, &page)
		items = append(items, page.Items...)
		if cursor = page.Next; cursor == "" {
			return items
		}
	}
}

func (n *node) tickets() []ticket { n.tb.Helper(); return all[ticket](n, "/tickets") }

func (n *node) activities(number int64) []activity {
	n.tb.Helper()
	return all[activity](n, fmt.Sprintf("/tickets/%d/activities", number))
}

func (n *node) deliveries(number int64, id string) []delivery {
	n.tb.Helper()
	return all[delivery](n, fmt.Sprintf("/tickets/%d/activities/%s/deliveries", number, id))
}

// answer sends an answer to the ticket's customer.
func (n *node) answer(number int64, text string) activity {
	n.tb.Helper()
	var a activity
	n.call("POST", fmt.Sprintf("/tickets/%d/activities", number), map[string]any{"type": "outgoing", "text": text}, &a)
	return a
}

// send hands a mail in over LMTP and gives the reply's code; 0 where none came.
func (n *node) send(from, mail string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	replies, err := lmtp.Send(ctx, n.lmtp, from, []string{"support@tickets.example"}, strings.NewReader(mail))
	if len(replies) == 0 {
		return 0, err
	}
	return replies[0].Code, err
}

func (n *node) mustSend(from, mail string) {
	n.tb.Helper()
	if code, err := n.send(from, mail); code != 250 {
		n.tb.Fatalf("the mail got %d, %v", code, err)
	}
}

// plain writes a mail; header holds more fields, each with CRLF.
func plain(from, subject, id, header, body string) string {
	return "From: " + from + "\r\nTo: support@tickets.example\r\nSubject: " + subject + "\r\nMessage-ID: <" + id + ">\r\n" +
		"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n" + header + "\r\n" + body + "\r\n"
}

func single(tb testing.TB, tickets []ticket) ticket {
	tb.Helper()
	if len(tickets) != 1 {
		tb.Fatalf("%d tickets, want one: %+v", len(tickets), tickets)
	}
	return tickets[0]
}

package gateway

import (
	"bytes"
	"context"
	"slices"
	"time"

	"ticketgate/gateway/lmtp"
	"ticketgate/gateway/verify"
	"ticketgate/threading"
	"ticketgate/threading/message"
)

// Explainer tells what would become of a mail, and stores nothing.
type Explainer struct {
	intake *intake
}

// NewExplainer makes one over an opened store.
func NewExplainer(c *Core) *Explainer {
	return &Explainer{intake: newCommandIntake(c)}
}

// Explain runs a mail through the steps of the intake for one recipient. An
// empty to is the first address that the mail names and an account has, an
// empty from the mail's author.
func (e *Explainer) Explain(ctx context.Context, raw []byte, to, from string) (threading.Explanation, error) {
	start := time.Now()
	raw = asTransferred(raw)
	request := verify.Request{Raw: raw, Explain: true}
	if to != "" {
		request.Recipients = []string{to}
	}
	mail, err := e.intake.read(ctx, request, e.intake.log)
	if err != nil {
		return threading.Explanation{}, err
	}
	read := time.Since(start)
	if to == "" {
		to = e.named(ctx, mail.Message)
	}
	if author, ok := mail.Message.Author(); from == "" && ok {
		from = author.String()
	}
	mail.From, mail.Recipients, mail.ReceivedAt = from, []string{to}, start
	x, err := e.intake.desk.Explain(ctx, mail.Incoming)
	if err != nil {
		return x, err
	}
	x.Recipient.Reply = lmtp.ReplyText(x.Recipient.Err)
	if x.Took == nil {
		x.Took = map[string]float64{}
	}
	x.Took["read"] = float64(read.Microseconds()) / 1000
	return x, nil
}

// asTransferred gives a mail the line ends that it would come with: a file has
// often lone LFs, and the same mail over LMTP has none.
func asTransferred(raw []byte) []byte {
	out := make([]byte, 0, len(raw)+len(raw)/32)
	for i, c := range raw {
		if c == '\n' && (i == 0 || raw[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	if !bytes.HasSuffix(out, []byte("\r\n")) {
		out = append(out, "\r\n"...)
	}
	return out
}

// named gives the first address in To and Cc that mail is taken for, else the
// first of all.
func (e *Explainer) named(ctx context.Context, m *message.Message) string {
	first := ""
	for _, a := range append(slices.Clone(m.To), m.Cc...) {
		if !a.Valid() {
			continue
		}
		address := a.String()
		if e.intake.desk.Recipient(ctx, address) == nil {
			return address
		}
		first = or(first, address)
	}
	return first
}

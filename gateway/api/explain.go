package api

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerExplain() {
	add(a, route{id: "explain", method: http.MethodPost, path: "/explain", tag: tagDesk, large: true, most: a.MaxMessageBytes, pure: true,
		media: []string{"message/rfc822"}, status: http.StatusOK,
		summary: "What would become of a mail; nothing is stored"}, a.explain)
}

type explainInput struct {
	To      string `query:"to" maxLength:"1000" doc:"the envelope's recipient; default the first account that the mail names"`
	From    string `query:"from" maxLength:"1000" doc:"the envelope's sender; default the From of the mail"`
	RawBody []byte `contentType:"message/rfc822"`
}

// explain copies the body: huma takes its buffer back once the answer is made.
func (a *api) explain(ctx context.Context, c *call, in *explainInput) (*answer[any], error) {
	if a.Explain == nil {
		return nil, unavailable("this listener explains no mail")
	}
	document, err := a.Explain(ctx, bytes.Clone(in.RawBody), in.To, in.From)
	if x, ok := document.(threading.Explanation); ok && err == nil && !c.admin() {
		document, err = a.explained(ctx, c, x)
	}
	return &answer[any]{Body: document}, err
}

// explained leaves out which tickets a mail would lead to that the caller does not
// see, and what rules make of such a ticket.
func (a *api) explained(ctx context.Context, c *call, x threading.Explanation) (threading.Explanation, error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (threading.Explanation, error) {
		hidden := func(number int64) bool {
			_, err := seen(ctx, tx, c, number)
			return err != nil
		}
		if x.Match.Ticket != nil && hidden(*x.Match.Ticket) {
			x.Match.Ticket, x.Rules, x.Effects = nil, []store.RuleTrace{}, nil
		}
		x.Match.Signals = slices.Clone(x.Match.Signals)
		for i, s := range x.Match.Signals {
			if s.Ticket != 0 && hidden(s.Ticket) {
				x.Match.Signals[i].Ticket = 0
			}
		}
		return x, nil
	})
}

package api

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerMessages() {
	add(a, route{id: "hand-in-message", method: http.MethodPost, path: "/messages", tag: tagDesk, large: true, most: a.MaxMessageBytes,
		media: []string{"message/rfc822"}, status: http.StatusCreated, find: a.findHandedTicket, again: "the mail is here already, or became no ticket",
		summary: "File a mail that the caller holds; with ticket on his word. One that is here already answers 200"}, a.handIn)
}

type messageInput struct {
	AccountID string `query:"account_id" maxLength:"64" doc:"the mail account that it is for; default the one that it names, the ticket's, the only one"`
	Ticket    int64  `query:"ticket" minimum:"1" doc:"the ticket that it belongs to; default as for any mail"`
	RawBody   []byte `contentType:"message/rfc822"`
}

// filedShape tells what became of a mail.
type filedShape struct {
	Outcome    threading.Outcome `json:"outcome" doc:"append, new, hold, quarantine, bounce or duplicate"`
	Ticket     *int64            `json:"ticket" doc:"null where it lies in none, or in one that the caller does not see"`
	Reference  string            `json:"reference"`
	ActivityID *string           `json:"activity_id"`
}

type filedAnswer struct {
	Status   int
	Location string `header:"Location"`
	Body     filedShape
}

// findHandedTicket is the 404 of the ticket that the query names.
func (a *api) findHandedTicket(ctx context.Context, c *call) error {
	number, err := strconv.ParseInt(c.query("ticket"), 10, 64)
	if err != nil || number <= 0 {
		return nil // no number: the schema says so
	}
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := seen(ctx, tx, c, number)
		return err
	})
}

// handIn copies the body: huma takes its buffer back once the answer is made.
func (a *api) handIn(ctx context.Context, c *call, in *messageInput) (*filedAnswer, error) {
	if a.HandIn == nil {
		return nil, unavailable("this listener takes no mail")
	}
	r, err := a.HandIn(ctx, c.agent, bytes.Clone(in.RawBody), in.AccountID, in.Ticket)
	if err != nil {
		return nil, err
	}
	out := &filedAnswer{Status: http.StatusOK, Body: filedShape{Outcome: r.Outcome}}
	if r.Ticket == 0 {
		return out, nil
	}
	made := r.Outcome != threading.OutcomeDuplicate
	if !made { // where another lies may be none of the caller's business
		err := a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := seen(ctx, tx, c, r.Ticket)
			return err
		})
		if problemOf(err).Status == http.StatusNotFound {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
	out.Body.Ticket, out.Body.Reference, out.Body.ActivityID = &r.Ticket, a.Desk.Reference(r.Ticket), orNull(r.ActivityID)
	if made {
		out.Status = http.StatusCreated
		out.Location = Prefix + "/tickets/" + strconv.FormatInt(r.Ticket, 10) + "/activities/" + r.ActivityID
	}
	return out, nil
}

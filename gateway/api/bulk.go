package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
)

const (
	// maxBulk is how many tickets one request changes at most.
	maxBulk = 1000
	// bulkTime is how long a change of many may take. It is shorter than abandoned,
	// so that its repetition never runs beside it.
	bulkTime = 100 * time.Second
	// bulkTogether is how many of its tickets are under way at once: they share
	// commits.
	bulkTogether = 8
)

func (a *api) registerBulk() {
	add(a, route{id: "bulk-patch-tickets", method: http.MethodPost, path: "/tickets/bulk", tag: tagDesk, status: http.StatusOK,
		summary: "Change up to 1000 tickets alike, each by itself, and tell what became of each"}, a.patchTickets)
}

type bulkInput struct {
	Body struct {
		Numbers []int64       `json:"numbers" minItems:"1" maxItems:"1000" uniqueItems:"true" doc:"of the tickets; this or filter"`
		Filter  *TicketChoice `json:"filter" doc:"what the list of tickets takes as its query, at least one of it; it must choose no more than 1000"`
		Patch   ticketChange  `json:"patch" required:"true" doc:"as in the PATCH of one ticket"`
	}
}

// bulkShape tells what became of each ticket, in the order in which they were
// named, or newest first.
type bulkShape struct {
	Results []bulkResult `json:"results"`
}

type bulkResult struct {
	Number int64    `json:"number"`
	Status int      `json:"status" doc:"what the PATCH of this ticket alone would have answered"`
	Error  *problem `json:"error" doc:"null where it was changed"`
}

// patchTickets changes each ticket in a transaction of its own. It goes on when
// the client leaves: who repeats it with its Idempotency-Key is told what was
// done.
func (a *api) patchTickets(ctx context.Context, c *call, in *bulkInput) (*answer[bulkShape], error) {
	p, err := in.Body.Patch.patch("patch.")
	if err != nil {
		return nil, err
	}
	numbers, err := a.chosen(ctx, c, in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bulkTime)
	defer cancel()
	results := make([]bulkResult, len(numbers))
	next := make(chan int)
	var workers sync.WaitGroup
	for range bulkTogether {
		workers.Go(func() {
			for i := range next {
				results[i] = a.patchOne(ctx, c, numbers[i], p)
			}
		})
	}
	for i := range numbers {
		next <- i
	}
	close(next)
	workers.Wait()
	return &answer[bulkShape]{Body: bulkShape{Results: results}}, nil
}

// patchOne changes one ticket of many.
func (a *api) patchOne(ctx context.Context, c *call, number int64, p threading.TicketPatch) bulkResult {
	r := bulkResult{Number: number, Status: http.StatusOK}
	if _, err := a.Desk.PatchTicket(ctx, c.agent, number, p); err != nil {
		r.Error = a.report(ctx, err)
		r.Status = r.Error.Status
	}
	return r
}

// chosen gives the tickets that are to be changed: those that were named,
// whether they are there or not, or those that the caller sees and a filter
// chooses.
func (a *api) chosen(ctx context.Context, c *call, in *bulkInput) ([]int64, error) {
	b := &in.Body
	switch {
	case (b.Numbers == nil) == (b.Filter == nil):
		return nil, invalid("numbers", "either numbers or a filter is required")
	case b.Filter == nil:
		return b.Numbers, nil
	case b.Filter.List == store.ListDrafts:
		return nil, invalid("filter.list", "drafts are no tickets")
	case *b.Filter == TicketChoice{List: store.ListOverview}:
		return nil, invalid("filter", "chooses nothing")
	}
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) ([]int64, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return nil, err
		}
		f, err := b.Filter.filter(desk, c)
		if err != nil {
			return nil, err
		}
		f.Limit = 200
		var numbers []int64
		for {
			page, next, err := tx.Tickets(ctx, f)
			if err != nil {
				return nil, err
			}
			for _, t := range page {
				numbers = append(numbers, t.Number)
			}
			if len(numbers) > maxBulk {
				return nil, invalid("filter", "chooses more than 1000 tickets")
			}
			if f.Cursor = next; next == "" {
				return numbers, nil
			}
		}
	})
}

package api

import (
	"context"
	"net/http"
	"time"

	"ticketgate/store"
)

func (a *api) registerCounts() {
	add(a, route{id: "count-tickets", method: http.MethodGet, path: "/tickets/counts", tag: tagDesk,
		summary: "The numbers beside the caller's lists, of what he may see"}, a.countTickets)
}

type ticketCountsShape struct {
	My struct {
		New      int `json:"new" doc:"open, in the status that their channel begins with"`
		Assigned int `json:"assigned" doc:"open, and owned by the caller"`
	} `json:"my"`
	Overview struct {
		Open             int `json:"open"`
		HandledToday     int `json:"handled_today" doc:"closed since the day began, in the desk's time zone"`
		HandledYesterday int `json:"handled_yesterday"`
	} `json:"overview"`
	Drafts     int            `json:"drafts" doc:"the caller's"`
	Held       int            `json:"held" doc:"mails that wait for a decision whether they belong to another ticket"`
	Quarantine int            `json:"quarantine" doc:"0 for whom it is hidden from"`
	Channels   map[string]int `json:"channels" doc:"open tickets, by channel id"`
	Statuses   map[string]int `json:"statuses" doc:"open tickets, by status id"`
}

func (a *api) countTickets(ctx context.Context, c *call, _ *struct{}) (*answer[ticketCountsShape], error) {
	yesterday, today := days(a.Now(), a.Timezone)
	s, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (s ticketCountsShape, err error) {
		n, err := tx.TicketCounts(ctx, c.agent.ID, yesterday, today)
		if err != nil {
			return s, err
		}
		s.My.New, s.My.Assigned = n.MyNew, n.MyAssigned
		s.Overview.Open, s.Overview.HandledToday, s.Overview.HandledYesterday = n.Open, n.HandledToday, n.HandledYesterday
		s.Held, s.Channels, s.Statuses = n.Held, n.Channels, n.Statuses
		if s.Drafts, err = tx.DraftCount(ctx, c.agent.ID); err != nil || !c.admin() {
			return s, err
		}
		s.Quarantine, err = tx.QuarantineCount(ctx)
		return s, err
	})
	return &answer[ticketCountsShape]{Body: s}, err
}

// days tells when yesterday and today began: a day may have 23 or 25 hours.
func days(now time.Time, zone *time.Location) (yesterday, today time.Time) {
	y, m, d := now.In(zone).Date()
	return time.Date(y, m, d-1, 0, 0, 0, 0, zone), time.Date(y, m, d, 0, 0, 0, 0, zone)
}

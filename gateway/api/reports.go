package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"ticketgate/store"
)

func (a *api) registerReports() {
	add(a, route{id: "report-tickets", method: http.MethodGet, path: "/reports/tickets", tag: tagDesk,
		summary: "Counts and times by channel, owner, status or day, of the tickets that the caller sees"}, a.reportTickets)
}

// The bounds of a report.
const (
	reportDays    = 30
	maxReportDays = 366
)

type reportQuery struct {
	By        string `query:"by" enum:"channel,owner,status,day" default:"channel"`
	Since     string `query:"since" maxLength:"10" doc:"the first day, such as 2026-11-01; default 30 days ago"`
	Until     string `query:"until" maxLength:"10" doc:"the last day; default today"`
	ChannelID string `query:"channel_id" maxLength:"64"`
}

// reportRow is what a report says of one channel, owner, status or day.
type reportRow struct {
	Key            string `json:"key" doc:"its id, empty for none; or the day"`
	Name           string `json:"name"`
	Created        int    `json:"created"`
	Closed         int    `json:"closed"`
	Open           *int   `json:"open" doc:"now; null of a day"`
	ResolveMinutes *int64 `json:"resolve_minutes" doc:"from making to closing, on average of those that were closed; null: none was"`
	WorkedMinutes  int    `json:"worked_minutes" doc:"that were put down for these days"`
}

type reportShape struct {
	By    string      `json:"by"`
	Since string      `json:"since"`
	Until string      `json:"until"`
	Items []reportRow `json:"items"`
}

// days reads the time that a report is about, in the desk's zone.
func (q *reportQuery) days(now time.Time, zone *time.Location) (since, until time.Time, err error) {
	today := now.In(zone)
	until = time.Date(today.Year(), today.Month(), today.Day(), 0, 0, 0, 0, zone)
	if q.Until != "" {
		if until, err = time.ParseInLocation(time.DateOnly, q.Until, zone); err != nil {
			return since, until, invalid("until", "must be a date such as 2026-11-25")
		}
	}
	since = until.AddDate(0, 0, 1-reportDays)
	if q.Since != "" {
		if since, err = time.ParseInLocation(time.DateOnly, q.Since, zone); err != nil {
			return since, until, invalid("since", "must be a date such as 2026-11-25")
		}
	}
	if since.After(until) || until.Sub(since) > maxReportDays*24*time.Hour {
		return since, until, invalid("since", "must be before until, by a year at most")
	}
	return since, until, nil
}

func (a *api) reportTickets(ctx context.Context, c *call, in *reportQuery) (*answer[reportShape], error) {
	since, until, err := in.days(a.Now(), a.Timezone)
	if err != nil {
		return nil, err
	}
	by := store.ReportBy(in.By)
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*answer[reportShape], error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return nil, err
		}
		rows, err := tx.Report(ctx, by, store.ReportFilter{
			VisibleTo: c.agent.ID, ChannelID: in.ChannelID, Since: since, Until: until.AddDate(0, 0, 1),
		}, a.Timezone)
		out := reportShape{By: in.By, Since: since.Format(time.DateOnly), Until: until.Format(time.DateOnly), Items: []reportRow{}}
		for _, r := range rows {
			out.Items = append(out.Items, reportRowOf(desk, by, r))
		}
		slices.SortFunc(out.Items, func(x, y reportRow) int { return strings.Compare(x.Name+" "+x.Key, y.Name+" "+y.Key) })
		return &answer[reportShape]{Body: out}, err
	})
}

func reportRowOf(desk *store.Desk, by store.ReportBy, r store.ReportRow) reportRow {
	row := reportRow{Key: r.Key, Created: r.Created, Closed: r.Closed, WorkedMinutes: r.Worked}
	if by != store.ByDay {
		row.Open = &r.Open
	}
	if r.Closed > 0 {
		average := r.ResolveMinutes / int64(r.Closed)
		row.ResolveMinutes = &average
	}
	switch by {
	case store.ByChannel:
		if c := desk.Channel(r.Key); c != nil {
			row.Name = c.Name
		}
	case store.ByOwner:
		if g := desk.Agent(r.Key); g != nil {
			row.Name = g.Name
		}
	case store.ByStatus:
		if s := desk.Status(r.Key); s != nil {
			row.Name = s.Name
		}
	case store.ByDay:
		row.Name = r.Key
	}
	return row
}

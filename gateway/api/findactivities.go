package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"ticketgate/store"
)

func (a *api) registerFindActivities() {
	add(a, route{id: "find-activities", method: http.MethodGet, path: "/activities", tag: tagDesk,
		summary: "Single activities of all tickets that the caller may see, newest first"}, a.findActivities)
}

type activityQuery struct {
	Paging
	Query     string    `query:"q" maxLength:"500" doc:"full text over subject, text, addresses, reference and attachment names"`
	MessageID string    `query:"message_id" maxLength:"998" doc:"of the mail, with or without angle brackets"`
	From      string    `query:"from" maxLength:"400" doc:"the address of who wrote it"`
	Since     time.Time `query:"since" doc:"from this time on"`
}

// findActivities leaves out what was hidden from the caller: that it matches
// would tell of it. A page may so be shorter than its limit.
func (a *api) findActivities(ctx context.Context, c *call, in *activityQuery) (*page[activityShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[activityShape], error) {
		found, next, err := tx.FindActivities(ctx, store.ActivityFilter{
			VisibleTo: c.agent.ID, Query: in.Query, MessageID: strings.Trim(in.MessageID, "<> "), From: strings.TrimSpace(in.From),
			Since: in.Since, Cursor: in.Cursor, Limit: in.Limit,
		})
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(v store.Activity) bool { return v.Hidden != nil && !c.admin() })
		shapes, err := activityShapes(ctx, tx, c, found)
		return &page[activityShape]{Body: list[activityShape]{Items: shapes, Next: next}}, err
	})
}

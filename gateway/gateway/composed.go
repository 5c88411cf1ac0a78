package gateway

import (
	"context"

	"ticketgate/outbound"
	"ticketgate/store"
)

// composed gives the message of an outgoing activity as it leaves, but for the
// signatures, which are made anew at each attempt.
func (c *Core) composed(ctx context.Context, activityID string) ([]byte, error) {
	var mail store.Mail
	err := c.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows, _, err := tx.Deliveries(ctx, store.DeliveryFilter{ActivityID: activityID, Kind: store.MailAnswer, Limit: 1})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return store.Errorf(store.CodeNotFound, "nothing left by this activity")
		}
		mail, err = tx.Mail(ctx, rows[0].MailID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return outbound.Compose(ctx, mail, c.DB.Blob)
}

// Command client uses the client that was generated from the description of the
// API, against the server that DESK_URL names, with the token DESK_TOKEN.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"client/desk"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c, err := desk.NewClientWithResponses(os.Getenv("DESK_URL"), desk.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Getenv("DESK_TOKEN"))
		return nil
	}))
	if err != nil {
		return err
	}
	channel, err := channel(ctx, c)
	if err != nil {
		return err
	}
	number, err := makeTicket(ctx, c, channel)
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context, *desk.ClientWithResponses, int64) error{patch, note, many, hooked, refused} {
		if err := step(ctx, c, number); err != nil {
			return err
		}
	}
	fmt.Println(number)
	return nil
}

// channel gives the id of the desk's first channel.
func channel(ctx context.Context, c *desk.ClientWithResponses) (string, error) {
	me, err := c.GetMeWithResponse(ctx)
	if err != nil || me.JSON200 == nil {
		return "", fmt.Errorf("me: %s %w", me.Status(), err)
	}
	list, err := c.ListChannelsWithResponse(ctx, &desk.ListChannelsParams{Limit: new(int64(1))})
	if err != nil || list.JSON200 == nil || len(*list.JSON200.Items) != 1 {
		return "", fmt.Errorf("channels: %w", err)
	}
	return *(*list.JSON200.Items)[0].Id, nil
}

// makeTicket makes a ticket twice under one Idempotency-Key, which is once.
func makeTicket(ctx context.Context, c *desk.ClientWithResponses, channel string) (int64, error) {
	var numbers []int64
	for range 2 {
		made, err := c.CreateTicketWithResponse(ctx, &desk.CreateTicketParams{IdempotencyKey: new("once")}, desk.TicketInput{
			Kind: "internal", ChannelId: &channel, Subject: new("By a generated client"), Text: new("Hello"),
		})
		if err != nil || made.JSON201 == nil {
			return 0, fmt.Errorf("ticket: %s %w", made.Body, err)
		}
		numbers = append(numbers, *made.JSON201.Number)
	}
	if numbers[0] != numbers[1] {
		return 0, errors.New("it was made twice")
	}
	return numbers[0], nil
}

func patch(ctx context.Context, c *desk.ClientWithResponses, number int64) error {
	changed, err := c.PatchTicketWithResponse(ctx, fmt.Sprint(number), nil, desk.TicketChange{
		Priority: new(desk.TicketChangePriority("high")), Tags: &[]string{"generated"},
	})
	if err != nil || changed.JSON200 == nil || *changed.JSON200.Priority != "high" {
		return fmt.Errorf("patch: %s %w", changed.Body, err)
	}
	// What is null is null in the answer, also where it is an object.
	if changed.JSON200.Contact != nil || changed.JSON200.Status == nil {
		return fmt.Errorf("patch: %s", changed.Body)
	}
	return nil
}

func note(ctx context.Context, c *desk.ClientWithResponses, number int64) error {
	made, err := c.CreateActivityWithResponse(ctx, fmt.Sprint(number), nil, desk.ActivityInput{
		Type: "note", Text: new("A note"),
	})
	if err != nil || made.JSON201 == nil {
		return fmt.Errorf("note: %s %w", made.Body, err)
	}
	list, err := c.ListActivitiesWithResponse(ctx, fmt.Sprint(number), nil)
	if err != nil || list.JSON200 == nil || len(*list.JSON200.Items) != 3 {
		return fmt.Errorf("activities: %s %w", list.Body, err)
	}
	return nil
}

func many(ctx context.Context, c *desk.ClientWithResponses, number int64) error {
	done, err := c.BulkPatchTicketsWithResponse(ctx, nil, desk.BulkInputBody{
		Numbers: &[]int64{number, 77777}, Patch: desk.TicketChange{Comment: new("Both of you.")},
	})
	if err != nil || done.JSON200 == nil {
		return fmt.Errorf("bulk: %s %w", done.Body, err)
	}
	rows := *done.JSON200.Results
	if len(rows) != 2 || *rows[0].Status != 200 || rows[0].Error != nil || *rows[1].Status != 404 || rows[1].Error == nil {
		return fmt.Errorf("bulk: %s", done.Body)
	}
	return nil
}

func hooked(ctx context.Context, c *desk.ClientWithResponses, _ int64) error {
	made, err := c.CreateWebhookWithResponse(ctx, nil, desk.WebhookInput{
		Url: new("https://example.org/hook"), Events: &[]desk.WebhookInputEvents{"ticket.created"},
	})
	if err != nil || made.JSON201 == nil || made.JSON201.Secret == nil {
		return fmt.Errorf("webhook: %s %w", made.Body, err)
	}
	gone, err := c.DeleteWebhookWithResponse(ctx, *made.JSON201.Id)
	if err != nil || gone.StatusCode() != http.StatusNoContent {
		return fmt.Errorf("webhook deleted: %s %w", gone.Status(), err)
	}
	return nil
}

// refused reads a problem as the description has it.
func refused(ctx context.Context, c *desk.ClientWithResponses, _ int64) error {
	none, err := c.GetTicketWithResponse(ctx, "77777")
	if err != nil || none.ApplicationproblemJSONDefault == nil || *none.ApplicationproblemJSONDefault.Status != http.StatusNotFound {
		return fmt.Errorf("a ticket that is not there: %s %w", none.Body, err)
	}
	return nil
}

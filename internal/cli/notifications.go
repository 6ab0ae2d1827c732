package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/internal/app"
	"oriel/internal/sanitize"
)

func (o *oriel) notificationsCommand() *cobra.Command {
	var redeliver, webhook string
	var f serverFlags
	cmd := &cobra.Command{
		Use:   "notifications",
		Short: "List notifications and their deliveries, or deliver one again",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if redeliver == "" {
				return o.listNotifications(cmd.Context())
			}
			return o.redeliver(cmd.Context(), redeliver, webhook, f)
		},
	}
	cmd.Flags().StringVar(&redeliver, "redeliver", "", "id of a notification to deliver again")
	cmd.Flags().StringVar(&webhook, "webhook", "", "deliver it to this webhook only")
	f.addOwner(cmd)
	return cmd
}

// listNotifications prints all notifications, newest first, with a line for each
// webhook.
func (o *oriel) listNotifications(ctx context.Context) (err error) {
	cfg, _, err := o.config()
	if err != nil {
		return err
	}
	db, err := o.openReadOnly(ctx, cfg, app.TakeMemory(cfg))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	w := tabwriter.NewWriter(o.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NOTIFICATION\tDATE\tUPDATER\tROWS\tWEBHOOK\tSTATUS\tATTEMPTS\tNEXT\tERROR")
	const some = 200
	for last := uuid.Nil; ; {
		sets, err := db.Notifications(ctx, last, some)
		if err != nil {
			return err
		}
		for _, s := range sets {
			last = s.ID
			head := fmt.Sprintf("%s\t%s\t%s\t", s.ID, s.Date.Format(time.RFC3339), s.Updater)
			if len(s.Receipts) == 0 {
				fmt.Fprintf(w, "%s%d\t-\t-\t-\t-\t\n", head, s.Rows)
			}
			for _, r := range s.Receipts {
				next := "-"
				if !r.NextAttempt.IsZero() {
					next = r.NextAttempt.Format(time.RFC3339)
				}
				fmt.Fprintf(w, "%s%d\t%s\t%s\t%d\t%s\t%s\n", head, r.Rows, r.Webhook, r.Status, r.Attempts, next, sanitize.Line(r.Error))
			}
		}
		if len(sets) < some {
			return w.Flush()
		}
	}
}

// redeliver makes a notification due again, in the database or through the
// server that owns it.
func (o *oriel) redeliver(ctx context.Context, text, webhook string, f serverFlags) (err error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return usageError{clair.Invalid("redeliver", "%.60q is not the id of a notification", text)}
	}
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, d, err := o.openExistingOrAsk(ctx, cfg, log, f, app.TakeMemory(cfg))
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
		if err := d.Redeliver(ctx, id, webhook); err != nil {
			return err
		}
		fmt.Fprintf(o.stdout, "notification %s is being delivered again\n", id)
		return nil
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Redeliver(ctx, id, webhook); err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "notification %s will be delivered again when the server runs\n", id)
	return nil
}

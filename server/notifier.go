package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"oriel/clair"
)

// NotificationStore has notifications.
type NotificationStore interface {
	// Notifications lists them, newest first, from the one before the given.
	Notifications(ctx context.Context, before uuid.UUID, limit int) ([]clair.NotificationSet, error)
	// NotificationPage reads rows of one that a webhook is told of, or all
	// where none is named, after the given row.
	NotificationPage(ctx context.Context, id uuid.UUID, webhook string, after uuid.UUID, limit int) (clair.NotificationPage, error)
	// DeleteNotification says that a webhook is done with one, or where none
	// is named those who have it.
	DeleteNotification(ctx context.Context, id uuid.UUID, webhook string) error
}

// Redeliverer delivers notifications again.
type Redeliverer interface {
	// Redeliver does so to one webhook, or to all where none is named.
	Redeliver(ctx context.Context, id uuid.UUID, webhook string) error
}

const (
	typeNotificationPage = "application/vnd.clair.notification_page.v1+json"
	// pageSize is how many rows a page has where the client does not say, as
	// in Clair.
	pageSize = 500
	// maxPageSize bounds a page, at about 2 KB a row. Who asks for more gets
	// this many, and the key of the next page.
	maxPageSize = 2000
)

// pagePart says what part of a list is to be read or was.
type pagePart struct {
	Size int    `json:"size"`
	Next string `json:"next,omitempty"`
}

// notificationPage is a page of a notification, as Clair has it.
type notificationPage struct {
	Page          pagePart             `json:"page"`
	Notifications []clair.Notification `json:"notifications"`
}

// notificationList is a page of the list of notifications.
type notificationList struct {
	Page          pagePart                `json:"page"`
	Notifications []clair.NotificationSet `json:"notifications"`
}

// pageParams reads page_size and next. 0 is the default, as in Clair.
func pageParams(c echo.Context) (size int, next uuid.UUID, err error) {
	if text := c.QueryParam("page_size"); text != "" {
		if size, err = strconv.Atoi(text); err != nil || size < 0 {
			return 0, uuid.Nil, clair.Invalid("page_size", "%.40q is not a number of rows", text)
		}
	}
	if size == 0 {
		size = pageSize
	}
	if text := c.QueryParam("next"); text != "" {
		if next, err = parseUUID("next", text); err != nil {
			return 0, uuid.Nil, err
		}
	}
	return size, next, nil
}

// getNotification reads a page of a notification: of the rows that the webhook
// in the path is told of, or of all.
func (s *Server) getNotification(c echo.Context) error {
	media, err := negotiate(c.Request(), typeNotificationPage, typeJSON)
	if err != nil {
		return err
	}
	webhook, id, err := notificationParams(c)
	if err != nil {
		return err
	}
	size, next, err := pageParams(c)
	if err != nil {
		return err
	}
	return s.withHeavy(c, func() error {
		rows, err := s.Notifications.NotificationPage(c.Request().Context(), id, webhook, next, min(size, maxPageSize))
		if err != nil {
			return err
		}
		out := notificationPage{Page: pagePart{Size: size}, Notifications: append([]clair.Notification{}, rows.Notifications...)}
		if rows.Next != uuid.Nil {
			out.Page.Next = rows.Next.String()
		}
		return answerJSON(c, http.StatusOK, media, out)
	})
}

// notificationParams are the id at the end of the path, and the webhook before
// it if there is one.
func notificationParams(c echo.Context) (webhook string, id uuid.UUID, err error) {
	if id, err = uuidParam(c); err != nil {
		return "", uuid.Nil, err
	}
	before, _ := strings.CutPrefix(c.Request().URL.EscapedPath(), notifier+"/notification/")
	parts := strings.Split(before, "/")
	if len(parts) > 1 {
		if webhook, err = url.PathUnescape(parts[len(parts)-2]); err != nil {
			return "", uuid.Nil, clair.Invalid("webhook", "%.80q is badly escaped", parts[len(parts)-2])
		}
	}
	return webhook, id, nil
}

func (s *Server) deleteNotification(c echo.Context) error {
	webhook, id, err := notificationParams(c)
	if err != nil {
		return err
	}
	if err := s.Notifications.DeleteNotification(c.Request().Context(), id, webhook); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// getNotifications lists notifications with how far each webhook has been told.
func (s *Server) getNotifications(c echo.Context) error {
	size, next, err := pageParams(c)
	if err != nil {
		return err
	}
	n := min(size, maxPageSize)
	list, err := s.Notifications.Notifications(c.Request().Context(), next, n+1)
	if err != nil {
		return err
	}
	out := notificationList{Page: pagePart{Size: size}, Notifications: append([]clair.NotificationSet{}, list...)}
	if len(list) > n {
		out.Notifications = list[:n]
		out.Page.Next = list[n-1].ID.String()
	}
	return answerJSON(c, http.StatusOK, typeJSON, out)
}

// postRedeliver delivers a notification again, to one webhook or to all.
func (s *Server) postRedeliver(c echo.Context) error {
	id, err := parseUUID("id", c.Param("id"))
	if err != nil {
		return err
	}
	if s.Redeliverer == nil {
		return fmt.Errorf("%w: nothing is delivered here", clair.ErrUnavailable)
	}
	if err := s.Redeliverer.Redeliver(c.Request().Context(), id, c.QueryParam("webhook")); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

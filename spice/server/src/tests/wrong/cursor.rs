use super::*;

pub(super) const ROW: Row = Row {
    kind: ChannelType::Cursor,
    all: &[],
    needs: &[],
    states: &[State {
        name: "linked",
        caps: &[],
        before: &[],
    }],
    outcome: |_, _, _, _| None,
};

#[tokio::test]
async fn every_message_of_the_cursor_channel_at_every_length() {
    for guest in [Guest::Bare, Guest::ClientMode] {
        ROW.every_length(guest).await;
    }
    ROW.unknown_ones(Guest::Bare).await;
}

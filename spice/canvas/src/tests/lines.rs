use caraway_ports::drawing::PathSegment;

use super::*;

fn stroke(points: &[(i32, i32)], flags: u8, style: &[i32], rop: u16) -> DrawOp {
    DrawOp::Stroke {
        path: [PathSegment {
            flags,
            points: points.iter().map(|(x, y)| Point::new(x * 16, y * 16)).collect(),
        }]
        .into(),
        style: style.into(),
        start_with_gap: false,
        brush: Brush::Solid(7),
        fore_mode: Rop(rop),
        back_mode: Rop::PUT,
    }
}

#[test]
fn strokes_leave_out_the_last_pixel_of_an_open_line() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 4, 2);
    let op = stroke(&[(0, 0), (3, 0), (3, 1)], 3, &[], Rop::OP_PUT);
    let drawn = draw(&mut canvas, Rect::at(0, 0, 4, 2), op).unwrap();
    assert_eq!(values(&canvas, 0), [7, 7, 7, 7, 0, 0, 0, 0]);
    assert_eq!(drawn.bbox, Rect::at(0, 0, 4, 1));
}

#[test]
fn closed_paths_draw_every_corner_once() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 3, 3);
    let op = stroke(&[(0, 0), (2, 0), (2, 2), (0, 2)], 1 | 2 | 8, &[], Rop::OP_XOR);
    draw(&mut canvas, Rect::at(0, 0, 3, 3), op).unwrap();
    assert_eq!(values(&canvas, 0), [7, 7, 7, 7, 0, 7, 7, 7, 7]);
}

#[test]
fn dashes_go_on_across_corners_and_clips() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 4, 3);
    let op = stroke(&[(0, 0), (3, 0), (3, 3)], 3, &[32, 16], Rop::OP_PUT);
    let clip = Clip::Rects([Rect::at(1, 0, 3, 1), Rect::at(0, 1, 4, 2)].into());
    draw_clipped(&mut canvas, Rect::at(0, 0, 4, 3), clip, op).unwrap();
    assert_eq!(values(&canvas, 0), [0, 7, 0, 7, 0, 0, 0, 7, 0, 0, 0, 0]);
}

#[test]
fn a_path_beyond_the_budget_is_refused() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 4096, 1);
    let points: Vec<(i32, i32)> = (0..10_000).map(|i| (i % 2 * 4095, 0)).collect();
    let result = draw(&mut canvas, Rect::at(0, 0, 4096, 1), stroke(&points, 3, &[], 8));
    assert!(matches!(result, Err(DrawError::Path { .. })));
    assert!(values(&canvas, 0).iter().all(|value| *value == 0));
}

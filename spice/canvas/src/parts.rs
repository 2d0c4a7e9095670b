//! What drawing operations consist of, for a server whose clients draw them in another way.

use std::ops::ControlFlow;

use caraway_ports::{
    drawing::{Clip, PathSegment},
    geometry::{Point, Rect},
};

use crate::{path, region::Region, stroke::Dashes, stroke::Steps};

/// The part of a box that a clip leaves, as rectangles that have no pixel in common.
#[must_use]
pub fn clip_parts(bbox: Rect, clip: &Clip) -> Vec<Rect> {
    let mut parts = Vec::new();
    Region::new(bbox, clip).for_each(|rect| parts.push(rect));
    parts
}

/// The lines a stroke consists of inside a box: sub-paths of whole pixels, each line without its last pixel. Drawn without a
/// style they cover the same pixels as often. A sub-path without a style is one polyline, with its curves as the lines that
/// stand for them; a styled one is the runs of pixels along an axis that its dashes leave.
///
/// `None` when there are more than `most` points.
#[must_use]
pub fn stroke_lines(
    path: &[PathSegment],
    style: &[i32],
    start_with_gap: bool,
    bbox: &Rect,
    most: usize,
) -> Option<Vec<Vec<Point>>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
    let mut count = 0;
    let dashes = Dashes::new(style, start_with_gap);
    let mut phase = 0;
    let flow = path::lines(path, |line| {
        if dashes.are_solid() {
            match parts.last_mut() {
                Some(part) if !line.first => part.push(line.to),
                _ => parts.push(vec![line.from, line.to]),
            }
            count += 2;
        } else {
            if line.first {
                phase = 0;
            }
            let steps = Steps::new(&line, bbox);
            for run in steps.runs(|step| dashes.is_on(phase + step)) {
                parts.push(run.to_vec());
                count += 2;
                if count > most {
                    return ControlFlow::Break(());
                }
            }
            phase += steps.length();
        }
        if count > most {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    flow.is_continue().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(flags: u8, points: &[(i32, i32)]) -> Vec<PathSegment> {
        let points = points.iter().map(|(x, y)| Point::new(x * 16, y * 16)).collect();
        vec![PathSegment { flags, points }]
    }

    fn lines(path: &[PathSegment], style: &[i32], most: usize) -> Option<Vec<Vec<(i32, i32)>>> {
        let parts = stroke_lines(path, style, false, &Rect::at(0, 0, 100, 100), most)?;
        Some(
            parts
                .iter()
                .map(|part| part.iter().map(|p| (p.x, p.y)).collect())
                .collect(),
        )
    }

    #[test]
    fn solid_paths_are_polylines() {
        let closed = path(1 | 2 | 8, &[(1, 1), (9, 1), (9, 9)]);
        assert_eq!(
            lines(&closed, &[], 99),
            Some(vec![vec![(1, 1), (9, 1), (9, 9), (1, 1)]])
        );
        let two = [path(1, &[(1, 1), (2, 2)]), path(1, &[(3, 3), (4, 4)])].concat();
        assert_eq!(
            lines(&two, &[], 99),
            Some(vec![vec![(1, 1), (2, 2)], vec![(3, 3), (4, 4)]])
        );
        assert_eq!(lines(&two, &[], 3), None);
    }

    #[test]
    fn styled_paths_are_the_runs_of_their_dashes() {
        let across = path(3, &[(0, 5), (7, 5)]);
        assert_eq!(
            lines(&across, &[32, 16], 99),
            Some(vec![vec![(0, 5), (2, 5)], vec![(3, 5), (5, 5)], vec![(6, 5), (7, 5)]])
        );
        let back = path(3, &[(7, 5), (0, 5)]);
        assert_eq!(lines(&back, &[80], 99), Some(vec![vec![(7, 5), (2, 5)]]));
        // Two pixels across for each down.
        let slope = path(3, &[(0, 0), (6, 3)]);
        let runs = lines(&slope, &[48, 16], 99).unwrap();
        assert_eq!(
            runs.iter().flat_map(|run| run[0].0..run[1].0).collect::<Vec<_>>(),
            [0, 1, 2, 4, 5]
        );
        assert_eq!(lines(&slope, &[48, 16], 3), None);
    }
}

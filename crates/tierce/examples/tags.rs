//! The guide's tags: group entries by what they were made of, and end a group by one write, whatever its size.

use tierce::{Hub, Loaded};

#[derive(Clone, Debug, PartialEq)]
struct Product {
    id: u64,
    category: u64,
}

async fn load(id: u64) -> Result<Product, std::io::Error> {
    Ok(Product { id, category: id % 10 })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::embedded();
    let products = hub.local_cache::<u64, Product>("product").build();
    let pages = hub.local_cache::<&str, String>("page").build();

    for id in 0..1000 {
        // "products" is known before the load; the category only when it has brought the row.
        let entry = products.entry(&id).tags(["products"]);
        let load = |_| async move {
            let product = load(id).await?;
            let tag = format!("category:{}", product.category);
            Ok::<_, std::io::Error>(Loaded::new(product).tag(tag))
        };
        entry.load_with(load).await?;
    }
    // Tags belong to the hub: an entry of another cache may have the same.
    pages.entry(&"front").tags(["products", "news"]).set("<html>".to_string()).await?;

    hub.invalidate_tag("category:3").await?;
    assert_eq!(products.get(&3).await, None);
    assert_eq!(products.get(&13).await, None);
    assert_eq!(products.get(&4).await.map(|product| product.category), Some(4));
    assert!(pages.get(&"front").await.is_some());
    println!("product 13: {}", products.explain(&13).await);

    hub.invalidate_tag("products").await?;
    assert_eq!((products.get(&4).await, pages.get(&"front").await), (None, None));
    Ok(())
}
